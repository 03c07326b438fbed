//! Modules depend downwards only: reads the sources and holds the order of the rooms.
//!
//! A room is a module of the crate's root with everything below it (`endpoint.rs` and
//! `endpoint/form.rs` are one room), so that inside a room all may know each other.

#![expect(
    clippy::expect_used,
    reason = "a file that cannot be read is a failed test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The rooms by level; each may import the rooms of the levels before its own.
///
/// On the first two levels, which know nothing of the network, rooms may import their neighbours
/// too, as long as no circle comes of it.
const LEVELS: [&[&str]; 9] = [
    &[
        "secret",
        "error",
        "error_response",
        "clock",
        "parameters",
        "scope",
        "jitter",
        "subject",
        "ambient",
        "flight",
        "wiping",
    ],
    &[
        "key",
        "id_token",
        "token",
        "token_set",
        "access_token",
        "schedule",
        "challenge",
        "origin",
        "destinations",
        "redirect",
        "refuser",
        "back_off",
        "path",
        "retry_after",
        "telemetry",
        "options",
    ],
    &["endpoint", "store"],
    &["grant", "kept"],
    &["keeper"],
    &["source"],
    &["middleware"],
    &["named"],
    // The door of the fuzz targets, which exists under `cfg(fuzzing)` alone.
    &["fuzzing"],
];

/// Levels below this one may import their neighbours.
const LEVELS_WITH_NEIGHBOURS: usize = 2;

#[test]
fn modules_depend_downwards_only() {
    let sources = sources_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "");
    assert!(
        !sources.is_empty(),
        "no sources were found, so none were checked"
    );
    let faults = faults_in(&sources);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_order_has_no_place_for_a_room_that_is_gone() {
    let sources = sources_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "");
    let rooms: BTreeSet<_> = sources.keys().map(|path| room_of(path)).collect();
    let gone: Vec<_> = LEVELS
        .iter()
        .copied()
        .flatten()
        .filter(|room| !rooms.contains(**room))
        .collect();
    assert!(gone.is_empty(), "in the order and not in src: {gone:?}");
}

#[test]
fn a_file_without_a_place_in_the_order_is_a_fault() {
    assert_eq!(
        faults(&[("helpers.rs", "")]),
        ["helpers.rs has no place in the order of rooms"]
    );
    assert_eq!(
        faults(&[("lib.rs", "mod named; pub use named::X;")]),
        [""; 0]
    );
}

#[test]
fn an_import_upwards_or_sideways_is_a_fault_and_one_downwards_is_none() {
    assert_eq!(
        faults(&[("named.rs", "use crate::middleware::X;")]),
        [""; 0]
    );
    assert_eq!(
        faults(&[("keeper/slot.rs", "use crate::keeper::guard::X;")]),
        [""; 0]
    );
    assert_eq!(
        faults(&[("endpoint/form.rs", "use crate::grant::X;")]),
        ["endpoint/form.rs (level 2) imports grant (level 3)"]
    );
    assert_eq!(
        faults(&[("source.rs", "use crate::middleware::X;")]),
        ["source.rs (level 5) imports middleware (level 6)"]
    );
    assert_eq!(
        faults(&[("named.rs", "use crate::Error;")]),
        ["named.rs imports crate::Error, which is no room: import by the full path"]
    );
}

#[test]
fn neighbours_of_the_low_levels_may_know_each_other_but_not_in_a_circle() {
    let straight = [
        ("error.rs", "use crate::clock::X;"),
        ("clock.rs", "use crate::secret::X;"),
    ];
    assert_eq!(faults(&straight), [""; 0]);
    let circle = [
        ("error.rs", "use crate::clock::X;"),
        ("clock.rs", "use crate::secret::X;"),
        ("secret.rs", "use crate::error::X;"),
    ];
    assert_eq!(
        faults(&circle),
        ["a circle: clock -> secret -> error -> clock"]
    );
}

#[test]
fn every_way_to_name_a_module_is_seen() {
    for (text, rooms) in [
        ("use crate::error::Error;", &["error"][..]),
        ("pub(crate) use crate::error;", &["error"]),
        (
            "use crate::{clock::{Clock, Moment}, error::Error};",
            &["clock", "error"],
        ),
        (
            "use crate::{\n    error,\n    secret::{self, Secret},\n};",
            &["error", "secret"],
        ),
        ("fn f() { crate::clock::system_time(x) }", &["clock"]),
        ("type X = Vec<crate::error::Error>;", &["error"]),
        ("use crate :: error :: Error;", &["error"]),
        ("use super::super::error::Error;", &["error"]),
        (
            "use super::{super::error::Error, guard::Guard};",
            &["error"],
        ),
        (
            "mod deeper { use super::super::super::error::Error; }",
            &["error"],
        ),
        ("mod deeper { } use super::super::error::Error;", &["error"]),
        ("use crate::*;", &["*"]),
        ("use crate::r#error::Error;", &["error"]),
        // None of these leaves the room.
        ("use super::guard::Guard; use self::x::Y; use x::Z;", &[]),
        (
            "pub(in crate) struct X; pub(crate) struct Y; mod error;",
            &[],
        ),
        ("use other_crate::error::Error;", &[]),
        (
            "mod deeper { fn f() {} use super::super::guard::Guard; }",
            &[],
        ),
        // Neither words nor tests count.
        (
            "// use crate::error::Error;\n/* use /* */ crate::clock::X; */",
            &[],
        ),
        ("/// See [`x`](crate::error::Error).\nstruct X;", &[]),
        (
            "const X: &str = \"crate::error::E \\\" crate::clock::E\"; use crate::token::T;",
            &["token"],
        ),
        (
            "const X: &str = r#\"crate::error::E \" \"#; use crate::token::T;",
            &["token"],
        ),
        (
            "const X: char = '\"'; use crate::error::E; const Y: char = '\\'';",
            &["error"],
        ),
        ("fn f<'a>(x: &'a str) -> crate::error::E<'a> {}", &["error"]),
        (
            "#[cfg(test)]\nmod tests { fn f() { {} } use crate::error::E; }\nuse crate::clock::C;",
            &["clock"],
        ),
        (
            "#[cfg(test)]\n#[path = \"x\"]\nuse crate::error::E;\nuse crate::clock::C;",
            &["clock"],
        ),
        ("#[cfg(test)]\nfn f() -> [u8; 1] { crate::error::E }", &[]),
        (
            "enum X { #[cfg(test)] Y(crate::error::E), Z(crate::clock::C) }",
            &["clock"],
        ),
        (
            "struct X { #[cfg(test)] y: crate::error::E } use crate::clock::C;",
            &["clock"],
        ),
        (
            "#[cfg(any(test, feature = \"test-util\"))]\nuse crate::clock::C;",
            &["clock"],
        ),
    ] {
        let expected: BTreeSet<_> = rooms.iter().map(|&room| room.to_owned()).collect();
        assert_eq!(imports("keeper/slot.rs", text), expected, "{text}");
    }
}

/// The faults of a crate that consists of these files.
fn faults(files: &[(&str, &str)]) -> Vec<String> {
    let owned = files
        .iter()
        .map(|&(path, text)| (path.to_owned(), text.to_owned()));
    faults_in(&owned.collect())
}

fn faults_in(sources: &BTreeMap<String, String>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut neighbours: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    // `lib.rs` names every room, to declare it and to show what is public.
    for (path, text) in sources.iter().filter(|(path, _)| *path != "lib.rs") {
        let room = room_of(path);
        let Some(level) = level_of(room) else {
            faults.push(format!("{path} has no place in the order of rooms"));
            continue;
        };
        for import in imports(path, text) {
            match level_of(&import) {
                None => faults.push(format!(
                    "{path} imports crate::{import}, which is no room: import by the full path"
                )),
                Some(_) if import == room => {}
                Some(below) if below < level => {}
                Some(same) if same == level && level < LEVELS_WITH_NEIGHBOURS => {
                    neighbours
                        .entry(room.to_owned())
                        .or_default()
                        .insert(import);
                }
                Some(other) => faults.push(format!(
                    "{path} (level {level}) imports {import} (level {other})"
                )),
            }
        }
    }
    faults.extend(circle(&neighbours).map(|rooms| format!("a circle: {}", rooms.join(" -> "))));
    faults
}

fn room_of(path: &str) -> &str {
    let first = path.split('/').next().unwrap_or(path);
    first.strip_suffix(".rs").unwrap_or(first)
}

fn level_of(room: &str) -> Option<usize> {
    LEVELS.iter().position(|rooms| rooms.contains(&room))
}

/// A way through the graph that comes back to where it began, if there is one.
fn circle(graph: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn search(
        graph: &BTreeMap<String, BTreeSet<String>>,
        way: &mut Vec<String>,
        next: &str,
    ) -> bool {
        let closes = way.first().is_some_and(|first| first == next);
        if !closes && way.iter().any(|room| room == next) {
            return false;
        }
        way.push(next.to_owned());
        if closes
            || graph
                .get(next)
                .into_iter()
                .flatten()
                .any(|room| search(graph, way, room))
        {
            return true;
        }
        way.pop();
        false
    }
    graph.keys().find_map(|room| {
        let mut way = Vec::new();
        search(graph, &mut way, room).then_some(way)
    })
}

/// The rooms that the file at `path` names outside its tests, whatever the way.
fn imports(path: &str, text: &str) -> BTreeSet<String> {
    let tokens = without_tests(tokens(text));
    let mut rooms = BTreeSet::new();
    // The module that the tokens are in: the file's, and the inline ones around them, each with
    // the depth of braces at which it ends.
    let file_depth = path.trim_end_matches(".rs").split('/').count();
    let mut inline: Vec<usize> = Vec::new();
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        match token.as_str() {
            "mod" if tokens.get(at + 2).is_some_and(|brace| brace == "{") => inline.push(depth),
            "{" => depth += 1,
            "}" => {
                depth = usize::saturating_sub(depth, 1);
                inline.pop_if(|end| *end == depth);
            }
            "crate" | "super" if at == 0 || tokens[at - 1] != "::" => {
                follow(&tokens[at..], file_depth + inline.len(), &mut rooms);
            }
            _ => {}
        }
    }
    rooms
}

/// Adds the rooms that a path names, or the group of paths that it ends in. The path stands at the
/// start of `tokens`, in a module `depth` below the root.
fn follow(tokens: &[String], depth: usize, rooms: &mut BTreeSet<String>) {
    let depth = match tokens.first().map(String::as_str) {
        Some("crate") => 0,
        Some("super") => depth.saturating_sub(1),
        Some("{") => return follow_group(tokens, depth, rooms),
        // Only a name right below the root is a room.
        Some(name) if depth == 0 => {
            rooms.insert(name.to_owned());
            return;
        }
        _ => return,
    };
    // `pub(crate)` and a lone `super` name no module.
    if tokens.get(1).is_some_and(|separator| separator == "::") {
        follow(&tokens[2..], depth, rooms);
    }
}

fn follow_group(tokens: &[String], depth: usize, rooms: &mut BTreeSet<String>) {
    let mut nesting = 0;
    for (at, token) in tokens.iter().enumerate() {
        match token.as_str() {
            "{" => nesting += 1,
            "}" => nesting -= 1,
            _ => {}
        }
        if nesting == 0 {
            return;
        }
        let starts_a_member = nesting == 1 && matches!(token.as_str(), "{" | ",");
        match tokens.get(at + 1) {
            Some(next) if starts_a_member && next != "}" => follow(&tokens[at + 1..], depth, rooms),
            _ => {}
        }
    }
}

/// Names, `::` and single signs; no comments, no texts.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(length) = literal(rest) {
            length
        } else if let Some(raw) = rest.strip_prefix("r#") {
            // A raw name such as `r#type`: raw texts are literals, which were met above.
            rest.len() - raw.len()
        } else if first.is_alphanumeric() || first == '_' {
            rest.find(|sign: char| !sign.is_alphanumeric() && sign != '_')
                .unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        let token = &rest[..length];
        let is_a_name = token
            .chars()
            .all(|sign| sign.is_alphanumeric() || sign == '_');
        if is_a_name || token == "::" || (token.len() == 1 && !first.is_whitespace()) {
            tokens.push(token.to_owned());
        }
        rest = &rest[length..];
    }
    tokens
}

/// The length of the block comment that `text` starts with; they nest.
fn block_comment(text: &str) -> usize {
    let mut nesting = 0;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            nesting += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            nesting -= 1;
            at += 2;
            if nesting == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

/// The length of the text or character literal that `text` starts with, if it starts with one.
fn literal(text: &str) -> Option<usize> {
    let prefix = text
        .find(|sign| !matches!(sign, 'b' | 'c' | 'r'))
        .filter(|length| *length <= 2)?;
    let body = &text[prefix..];
    let is_raw = text[..prefix].contains('r');
    if is_raw {
        let fence = body.find(|sign| sign != '#')?;
        let content = body[fence..].strip_prefix('"')?;
        let end = format!("\"{}", &body[..fence]);
        let length = content
            .find(&end)
            .map_or(content.len(), |at| at + end.len());
        return Some(prefix + fence + 1 + length);
    }
    match body.chars().next()? {
        '"' => Some(prefix + quoted(body, '"')),
        // A character, and not a lifetime: the quote closes after one sign, or after an escape.
        '\'' if body[1..].starts_with('\\') || body[1..].chars().nth(1) == Some('\'') => {
            Some(prefix + quoted(body, '\''))
        }
        _ => None,
    }
}

fn quoted(body: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, sign) in body.char_indices().skip(1) {
        match sign {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if sign == quote => return at + 1,
            _ => {}
        }
    }
    body.len()
}

/// Leaves out every item that `#[cfg(test)]` stands before, to its brace, semicolon or comma.
fn without_tests(tokens: Vec<String>) -> Vec<String> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::new();
    let mut rest = tokens.as_slice();
    while let Some((first, others)) = rest.split_first() {
        if rest.len() >= MARK.len() && rest.iter().zip(MARK).all(|(token, mark)| token == mark) {
            rest = &rest[item_length(rest)..];
        } else {
            kept.push(first.clone());
            rest = others;
        }
    }
    kept
}

fn item_length(tokens: &[String]) -> usize {
    let mut nesting = 0;
    for (at, token) in tokens.iter().enumerate() {
        match token.as_str() {
            "{" | "(" | "[" => nesting += 1,
            // The item was the last of what is around it.
            "}" | ")" | "]" if nesting == 0 => return at,
            "}" if nesting == 1 => return at + 1,
            "}" | ")" | "]" => nesting -= 1,
            // A field or a variant ends with a comma.
            ";" | "," if nesting == 0 => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}

/// The Rust files below `folder`, by their path in it.
fn sources_below(folder: &Path, prefix: &str) -> BTreeMap<String, String> {
    let mut sources = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a folder of sources can be listed") {
        let path = entry.expect("a folder of sources can be listed").path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .expect("names are UTF-8");
        let name = format!("{prefix}{name}");
        if path.is_dir() {
            sources.extend(sources_below(&path, &format!("{name}/")));
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(&path).expect("a source file can be read");
            sources.insert(name, text);
        }
    }
    sources
}
