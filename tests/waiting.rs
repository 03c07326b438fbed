//! No test waits by counting: what counts the turns of a runtime, or the timers that are set, breaks when
//! the code behind it takes one turn more, or sets one timer less. Tests wait for what can be seen, with
//! the helpers of `tests/support`.

#![expect(
    clippy::expect_used,
    reason = "a file that cannot be read is a failed test"
)]

mod files;

use std::fs;
use std::path::{Path, PathBuf};

use files::rust_files;

#[test]
fn only_the_helpers_of_the_tests_give_the_others_a_turn() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let (helpers, this) = (root.join("support/mod.rs"), root.join("waiting.rs"));
    let mut found = rust_files(&root);
    found.retain(gives_turns);
    assert_eq!(found, [helpers, this]);
}

fn gives_turns(file: &PathBuf) -> bool {
    let text = fs::read_to_string(file).expect("a source file can be read");
    ["yield_now", "until_timers"]
        .iter()
        .any(|name| text.contains(name))
}
