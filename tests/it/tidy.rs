//! The shape of the code: who may import whom (the tables of ARCHITECTURE.md), sizes, no panics, links that lead somewhere.
//!
//! Sources are read as text, by the conventions that rustfmt keeps. Inline test modules come last in a file.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const ARCHITECTURE: &str = include_str!("../../ARCHITECTURE.md");

/// Folders with Rust code that is not a test.
const SOURCES: [&str; 13] = [
    "protocol/src",
    "broker/src",
    "handler-sdk/src",
    "handler-sdk/macros/src",
    "clients/load/src",
    "clients/rust/src",
    "examples/arena/src",
    "examples/tictactoe/src",
    "examples/whiteboard/src",
    "tests/src",
    "tests/bench/src",
    "tests/fuzz-targets/src",
    "xtask/src",
];
/// The same in TypeScript and JavaScript.
const SCRIPTS: [&str; 5] = [
    "clients/typescript/src",
    "examples/arena/web",
    "examples/tictactoe/web",
    "examples/whiteboard/web",
    "examples/web",
];

const MAX_FILE: usize = 600;
const LONG_FILE: usize = 450;
const LONG_FILES: usize = 3;
const MAX_FUNCTION: usize = 100;

/// What may panic outside tests in `protocol` and `broker`: file, line, reason.
const PANICS: [(&str, &str, &str); 2] = [
    ("room/registry/mod.rs", ".expect(\"alphanumeric and of fitting length\")", "a random id is valid by its making"),
    ("room/state/apply.rs", "unreachable!(\"taken out by apply\")", "the match above has taken these outputs"),
];

struct Source {
    path: PathBuf,
    /// Without inline tests.
    code: String,
}

impl Source {
    fn name(&self) -> String {
        self.path.strip_prefix(root()).unwrap_or(&self.path).display().to_string()
    }

    /// Lines that are no comments, with their numbers.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let numbered = (1..).zip(self.code.lines());
        numbered.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// Files below a folder that are not tests.
fn sources(folder: &str, extensions: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
            if stem == "tests" {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| extensions.iter().any(|wanted| ext == *wanted)) {
                let text = fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned();
                found.push(Source { path, code });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// The rows below a header line of ARCHITECTURE.md, as cells.
fn table(header: &str) -> Vec<Vec<&'static str>> {
    let (_, rest) = ARCHITECTURE.split_once(header).unwrap_or_else(|| panic!("no table `{header}`"));
    let rows = rest.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// Names in a cell, without their backticks.
fn names(cell: &str) -> BTreeSet<String> {
    cell.split(", ").map(|name| name.replace('`', "")).filter(|name| !name.is_empty()).collect()
}

/// The crates of ours under `[dependencies]`, and under those of a target.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let mut section = "";
    let mut found = BTreeSet::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        }
        let counts = section.ends_with("dependencies]") && !section.contains("dev-");
        if counts && line.starts_with("parlor") {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            let optional = if line.contains("optional = true") { " (optional)" } else { "" };
            found.insert(format!("{name}{optional}"));
        }
    }
    found
}

#[test]
fn crates_import_what_the_table_says() {
    let rows = table("| crate | folder | imports of ours |");
    for row in &rows {
        let (name, folder) = (row[0].replace('`', ""), row[1].replace('`', ""));
        let manifest = fs::read_to_string(root().join(&folder).join("Cargo.toml")).unwrap();
        assert!(manifest.contains(&format!("\nname = \"{name}\"\n")), "{folder} is not {name}");
        assert!(manifest.contains("[lints]\nworkspace = true"), "{name} has lints of its own");
        assert_eq!(dependencies(&manifest), names(row[2]), "what {name} imports");
    }
    let workspace = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let members = workspace.split_once("members = [").unwrap().1.split_once(']').unwrap().0;
    let members: BTreeSet<_> = members.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    assert_eq!(rows.iter().map(|row| row[1].replace('`', "")).collect::<BTreeSet<_>>(), members);
}

#[test]
fn without_its_broker_the_sdk_needs_no_runtime() {
    let manifest = fs::read_to_string(root().join("handler-sdk/Cargo.toml")).unwrap();
    for name in ["axum", "clap", "futures-util", "parlor-broker", "tokio", "tokio-tungstenite"] {
        let optional = format!("{name} = {{ workspace = true, optional = true }}");
        assert!(manifest.contains(&optional), "{name} is not optional");
    }
}

#[test]
fn modules_of_the_broker_import_what_the_table_says() {
    let rows = table("| module | may import |");
    for row in &rows {
        let module = row[0].replace('`', "");
        assert_eq!(imports(&module), names(row[1]), "what broker/src/{module} imports");
    }
    let library = fs::read_to_string(root().join("broker/src/lib.rs")).unwrap();
    let modules = library.lines().filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod "));
    let modules: BTreeSet<_> = modules.map(|name| name.trim_end_matches(';').to_owned()).collect();
    assert_eq!(rows.iter().map(|row| row[0].replace('`', "")).collect::<BTreeSet<_>>(), modules);
}

/// The modules that a module of the broker names.
fn imports(module: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for source in of_module("broker/src", module) {
        for (number, line) in source.lines() {
            for (_, after) in line.match_indices("crate::").map(|(at, found)| line.split_at(at + found.len())) {
                assert!(!after.starts_with('{'), "{}:{number}: one `use` a module, please", source.name());
                let name: String = after.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
                found.insert(name);
            }
        }
    }
    found.remove(module);
    found
}

fn of_module(folder: &str, module: &str) -> Vec<Source> {
    let (file, below) = (root().join(folder).join(format!("{module}.rs")), root().join(folder).join(module));
    let mut sources = sources(folder, &["rs"]);
    sources.retain(|source| source.path == file || source.path.starts_with(&below));
    assert!(!sources.is_empty(), "no {folder}/{module}");
    sources
}

/// Fails with all lines of these sources that have one of the words.
fn without(sources: &[Source], words: &[&str], why: &str) {
    let mut found = Vec::new();
    for source in sources {
        let lines = source.lines().filter(|(_, line)| words.iter().any(|word| line.contains(word)));
        found.extend(lines.map(|(number, line)| format!("{}:{number}: {}", source.name(), line.trim())));
    }
    assert!(found.is_empty(), "{why}:\n{}", found.join("\n"));
}

#[test]
fn the_protocol_has_no_io_no_clock_no_chance() {
    let words = ["tokio", "std::time", "Instant", "SystemTime", "rand::", "std::net", "std::fs", "std::io"];
    without(&sources("protocol/src", &["rs"]), &words, "`protocol` is values and codecs");
    let manifest = fs::read_to_string(root().join("protocol/Cargo.toml")).unwrap();
    let (dependencies, _) = manifest.split_once("[dev-dependencies]").unwrap();
    assert!(!dependencies.contains("tokio") && !dependencies.contains("rand"));
}

#[test]
fn a_room_s_state_knows_no_clock_no_task_no_handler() {
    let words = ["Instant", "SystemTime", "tokio", "rand::", "crate::host", "Mutex", "async "];
    for module in ["state", "members", "timers", "types"] {
        without(&of_module("broker/src/room", module), &words, "the room's state is driven from outside");
    }
}

#[test]
fn each_thing_is_done_in_one_place() {
    let all_but = |files: &[&str]| {
        let mut sources = sources("broker/src", &["rs"]);
        sources.retain(|source| !files.iter().any(|file| source.path.ends_with(file)));
        sources
    };
    let writes = [".poll_write", "write_all(", ".try_write", ".start_send", "SinkExt"];
    // The pen writes for a writer that sleeps, and a handshake is answered before there is one. The other files only pass on what
    // somebody writes through them.
    let streams = [
        "session/writer.rs",
        "outbox/pen.rs",
        "listener/quick.rs",
        "session/socket.rs",
        "session/tls.rs",
        "listener/patience.rs",
    ];
    // Workers are no clients: each has a connection that one task writes to.
    let streams = [streams.as_slice(), &["worker/connection.rs", "worker/entry.rs"]].concat();
    without(&all_but(&streams), &writes, "only the writer and the pen write to a socket");
    without(
        &all_but(&["room/keeper.rs", "room/keeper/restoring.rs"]),
        &[".submit(", ".poll_outcome("],
        "only the keeper calls a host",
    );
    without(&of_module("broker/src", "session"), &["room::state"], "a session knows rooms by their handles");
    without(&of_module("broker/src", "lobby"), &["room::state", "RoomQueue", "Arrival"], "the lobby asks the registry");
}

#[test]
fn files_and_functions_are_short() {
    let mut files = Vec::new();
    for folder in SOURCES {
        files.extend(sources(folder, &["rs"]));
    }
    let long: Vec<_> = files.iter().flat_map(long_functions).collect();
    assert!(long.is_empty(), "functions over {MAX_FUNCTION} lines:\n{}", long.join("\n"));

    for folder in SCRIPTS {
        files.extend(sources(folder, &["ts", "js"]));
    }
    let over = |limit| {
        let counted = files.iter().map(|file| (file.code.lines().count(), file.name()));
        counted.filter(|(lines, _)| *lines > limit).map(|(lines, name)| format!("{name}: {lines}")).collect::<Vec<_>>()
    };
    assert!(over(MAX_FILE).is_empty(), "files over {MAX_FILE} lines: {:?}", over(MAX_FILE));
    assert!(over(LONG_FILE).len() <= LONG_FILES, "more than a few files over {LONG_FILE}: {:?}", over(LONG_FILE));
}

/// A function ends with the first closing brace under its own beginning.
fn long_functions(source: &Source) -> Vec<String> {
    let lines: Vec<_> = source.code.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let text = line.trim_start();
        let begins = text.starts_with("fn ") || text.contains(" fn ") && text.starts_with(['p', 'a', 'c', 'e']);
        if !begins || text.ends_with(';') {
            continue;
        }
        let end = format!("{}}}", &line[..line.len() - text.len()]);
        let length = lines[start..].iter().position(|line| *line == end).map_or(1, |lines| lines + 1);
        if length > MAX_FUNCTION {
            found.push(format!("{}:{}: {length} lines", source.name(), start + 1));
        }
    }
    found
}

#[test]
fn protocol_and_broker_do_not_panic() {
    let words = [".unwrap()", ".expect(", "panic!(", "todo!(", "unimplemented!(", "unreachable!("];
    let (mut used, mut found) = (BTreeSet::new(), Vec::new());
    for source in sources("protocol/src", &["rs"]).into_iter().chain(sources("broker/src", &["rs"])) {
        for (number, line) in source.lines().filter(|(_, line)| words.iter().any(|word| line.contains(word))) {
            let allowed = |(file, text, _): &&(&str, &str, &str)| source.path.ends_with(file) && line.contains(text);
            match PANICS.iter().find(allowed) {
                Some(entry) => drop(used.insert(entry)),
                None => found.push(format!("{}:{number}: {}", source.name(), line.trim())),
            }
        }
    }
    assert!(found.is_empty(), "answer with an error, or add it to PANICS with a reason:\n{}", found.join("\n"));
    assert_eq!(used.len(), PANICS.len(), "an entry of PANICS is not needed any more");
}

#[test]
fn links_of_the_documentation_lead_somewhere() {
    let mut pages: Vec<_> = ["README.md", "ARCHITECTURE.md", "PROTOCOL.md", "CHANGELOG.md"].map(PathBuf::from).into();
    pages.extend(["clients/rust/README.md", "clients/typescript/README.md"].map(PathBuf::from));
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let name = entry.unwrap().file_name();
        pages.extend(Path::new(&name).extension().filter(|ext| *ext == "md").map(|_| Path::new("docs").join(&name)));
    }
    let (mut links, mut dead) = (0, Vec::new());
    for page in &pages {
        let text = fs::read_to_string(root().join(page)).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.contains("://") {
                continue;
            }
            links += 1;
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            if !leads(&root().join(file), heading) {
                dead.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(dead.is_empty(), "{}", dead.join("\n"));
    assert!(links > 30, "only {links} links seen");
}

fn leads(file: &Path, heading: &str) -> bool {
    if heading.is_empty() {
        return file.exists();
    }
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().filter(|line| line.starts_with('#')).any(|line| slug(line) == heading)
}

/// A heading as its address.
fn slug(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    text.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect()
}

#[test]
fn the_readme_can_be_read_in_one_go() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.lines().count() <= 250);
}
