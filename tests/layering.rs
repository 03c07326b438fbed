//! Modules depend downwards only: reads the imports, and holds the order of the rooms.
//!
//! A room is a module of the crate's root with everything below it. Inside a room files may know each
//! other, as long as no circle comes of it.

#![expect(
    clippy::expect_used,
    reason = "a file that cannot be read is a failed test"
)]

mod files;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use files::rust_files;

/// The rooms by level, the lowest first; each may import those of the levels before its own, and its
/// neighbours.
const LEVELS: [&str; 13] = [
    "secret error error_response clock parameters scope jitter subject subject_token ambient flight wiping
     expiry_margin timeouts shown random_id by_origin",
    "clock_skew key id_token token token_owner token_set access_token bearer_token bearer_token_provider schedule challenge origin destinations redirect refuser \
     step_up cooldown path retry_after reserved_headers carrier api_answer refusal_rule telemetry options
     signer dpop mtls",
    "endpoint store resource",
    "grant session",
    "cache engine authorization",
    "refresh call claims sign_in",
    "source",
    "users exchanged",
    "outgoing",
    "middleware tower",
    "named",
    "config",
    "fuzzing lib",
];

/// What each file of `src` imports from the crate, both by their paths without `.rs`.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let text_of = |path: PathBuf| {
        let name = path
            .strip_prefix(&src)
            .expect("below src")
            .with_extension("");
        let text = fs::read_to_string(&path).expect("a text");
        // The tests of a file come last in it, and may know anything.
        let (code, _) = text.split_once("#[cfg(test)]\nmod ").unwrap_or((&text, ""));
        (name.to_string_lossy().into_owned(), code.to_owned())
    };
    let texts: BTreeMap<_, _> = rust_files(&src).into_iter().map(text_of).collect();
    let file_of = |path: &str| {
        // `crate::a::b::Type` is in `a/b.rs`, or else in `a.rs`.
        let parts: Vec<&str> = path.split("::").collect();
        let names = (1..=parts.len())
            .rev()
            .map(|length| parts[..length].join("/"));
        names.into_iter().find(|name| texts.contains_key(name))
    };
    let of_text = |text: &str| {
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        let code = code.collect::<Vec<_>>().join("\n");
        let is_in_path = |c: char| c.is_alphanumeric() || "_:".contains(c);
        let paths = code.split("crate::").skip(1);
        let paths = paths.filter_map(|rest| rest.split(|c| !is_in_path(c)).next());
        paths
            .filter_map(|path| file_of(path.trim_end_matches(':')))
            .collect()
    };
    let imports = texts
        .iter()
        .map(|(name, text)| (name.clone(), of_text(text)));
    imports.collect()
}

#[test]
fn modules_depend_downwards_only() {
    let level = |file: &str| {
        let room = file.split('/').next().unwrap_or(file);
        let found = LEVELS
            .iter()
            .position(|rooms| rooms.split_whitespace().any(|name| name == room));
        found.unwrap_or_else(|| panic!("{room} has no place in the order of rooms"))
    };
    for (file, imported) in imports() {
        for other in imported {
            assert!(
                level(&other) <= level(&file),
                "{file} imports {other}, which is above it"
            );
        }
    }
}

#[test]
fn there_is_no_circle_between_two_files_or_more() {
    // Files that import none of those that are left are taken away, until none is left. A file is the
    // door of its folder: what is in there is its own.
    let mut left = imports();
    for (name, imported) in &mut left {
        imported.retain(|other| !other.starts_with(&format!("{name}/")));
    }
    loop {
        let names: BTreeSet<String> = left.keys().cloned().collect();
        let before = left.len();
        left.retain(|name, imported| {
            imported
                .iter()
                .any(|other| other != name && names.contains(other))
        });
        if left.len() == before {
            break;
        }
    }
    let left: Vec<_> = left.keys().collect();
    assert!(left.is_empty(), "in a circle, or above one: {left:?}");
}
