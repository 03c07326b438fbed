//! No test waits by counting: what counts the turns of a runtime, or the timers that are set, breaks when
//! the code behind it takes one turn more, or sets one timer less. Tests wait for what can be seen, with the helpers of `tests/support`.

#![expect(
    clippy::expect_used,
    reason = "a file that cannot be read is a failed test"
)]

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn only_the_helpers_of_the_tests_give_the_others_a_turn() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let (helpers, this) = (root.join("support/mod.rs"), root.join("waiting.rs"));
    let mut found = Vec::new();
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder can be listed") {
            let path = entry.expect("a folder can be listed").path();
            match path.extension() {
                Some(extension) if extension == "rs" => {
                    found.extend(gives_turns(&path).then_some(path));
                }
                None if path.is_dir() && !path.ends_with("node_modules") => folders.push(path),
                _ => {}
            }
        }
    }
    found.sort();
    assert_eq!(found, [helpers, this]);
}

fn gives_turns(file: &PathBuf) -> bool {
    let text = fs::read_to_string(file).expect("a source file can be read");
    ["yield_now", "until_timers"]
        .iter()
        .any(|name| text.contains(name))
}
