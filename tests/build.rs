//! Takes the files of the tutorial's game out of `docs/tutorial.md`, for `tests/it/tutorial.rs` to compile and play.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::{env, fs};

fn main() -> std::io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by Cargo")).join("..");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("set by Cargo")).join("tutorial");
    let (tutorial, client) = (root.join("docs/tutorial.md"), root.join("clients/typescript/dist/parlor.js"));
    for (file, text) in files(&fs::read_to_string(&tutorial)?) {
        let file = out.join(file);
        fs::create_dir_all(file.parent().expect("within the crate"))?;
        fs::write(file, text)?;
    }
    fs::copy(&client, out.join("src/parlor.js"))?;
    for input in [tutorial, client] {
        println!("cargo::rerun-if-changed={}", input.display());
    }
    Ok(())
}

/// The code blocks that name a file (`rust src/lib.rs`), those of the same file joined.
fn files(markdown: &str) -> BTreeMap<&str, String> {
    let mut files = BTreeMap::<&str, String>::new();
    let mut into = None;
    for line in markdown.lines() {
        match (line.strip_prefix("```"), into) {
            (Some(fence), None) => into = Some(fence.split_once(' ').map(|(_, file)| file)),
            (Some(_), Some(_)) => into = None,
            (None, Some(Some(file))) => {
                let text = files.entry(file).or_default();
                text.push_str(line);
                text.push('\n');
            }
            (None, _) => {}
        }
    }
    files
}
