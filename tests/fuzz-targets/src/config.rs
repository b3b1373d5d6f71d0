//! The configuration file: what can be read and does not contradict itself can be printed, and reads the same.

use std::path::Path;

use parlor_broker::Config;

/// Reads a file.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let path = Path::new("parlor.toml");
    let read = match Config::parse(path, text) {
        Ok(read) => read,
        Err(error) => {
            let told = error.to_string();
            assert!(!told.contains('\n'), "an error in one line: {told:?}");
            return;
        }
    };
    if read.check().is_err() {
        return;
    }
    let printed = read.print().expect("what was checked can be printed");
    let mut again = Config::parse(path, &printed).unwrap_or_else(|error| panic!("{error}\n{printed}"));
    again.server_key.clone_from(&read.server_key);
    again.secret.clone_from(&read.secret);
    again.auth.secret.clone_from(&read.auth.secret);
    assert_eq!(again, read, "{printed}");
}
