//! The map of the code, `docs/ARCHITECTURE.md`, names files and functions that are there.

#![expect(
    clippy::expect_used,
    reason = "a file that cannot be read is a failed test"
)]

use std::fs;
use std::path::Path;

/// A row of the table "Where is it decided": the question, and what is in code marks after it.
fn decisions(map: &str) -> Vec<(String, Vec<String>)> {
    let table = map.split("## Where is it decided").nth(1).expect("a table");
    let rows = table.lines().filter(|line| line.starts_with("| "));
    // Without the line of headings.
    rows.skip(1)
        .map(|row| {
            let mut cells = row.trim_matches('|').splitn(2, " | ");
            let question = cells.next().unwrap_or_default().trim().to_owned();
            let answer = cells.next().unwrap_or_default();
            let marked = answer.split('`').skip(1).step_by(2).map(str::to_owned);
            (question, marked.collect())
        })
        .collect()
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).ok()
}

#[test]
fn each_decision_is_made_by_a_function_of_the_file_that_the_map_names() {
    let map = read("docs/ARCHITECTURE.md").expect("the map");
    let decisions = decisions(&map);
    assert!(decisions.len() > 20, "the table is not read any more");
    for (question, marked) in decisions {
        // Where something would go, there is nothing yet.
        if question.contains(" would go") && marked.iter().any(|name| name.starts_with("impl ")) {
            continue;
        }
        let file = marked.first().expect("a file");
        let text = read(file).unwrap_or_else(|| panic!("{question}: there is no {file}"));
        for name in &marked[1..] {
            let name = name.rsplit("::").next().unwrap_or(name);
            let is_there = ["fn", "struct"].iter().any(|kind| {
                let definition = format!("{kind} {name}");
                text.split(&definition).skip(1).any(|rest| {
                    !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_')
                })
            });
            // A variant, which is written with its type's name nowhere.
            let is_variant = text.contains(&format!("\n    {name},"));
            assert!(is_there || is_variant, "{question}: {file} has no {name}");
        }
    }
}

#[test]
fn the_map_names_each_file_of_the_core() {
    let map = read("docs/ARCHITECTURE.md").expect("the map");
    for room in ["cache", "session", "refresh"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(room);
        for entry in fs::read_dir(folder).expect("a room") {
            let path = entry.expect("a file").path();
            let file = path
                .file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            assert!(
                map.contains(&format!("`{room}/{file}`")) || map.contains(&format!("`{file}`")),
                "{room}/{file} is not in the map"
            );
        }
    }
}

#[test]
fn the_map_is_read_within_minutes() {
    let map = read("docs/ARCHITECTURE.md").expect("the map");
    assert!(map.lines().count() <= 200);
}
