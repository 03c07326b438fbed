//! What the documents point at is there: the files and functions that the map of the code names
//! (`docs/ARCHITECTURE.md`), and the pages that the others link to.

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

/// Whether a function or a type of this very name is defined in `text`.
fn defines(text: &str, kind: &str, name: &str) -> bool {
    let definition = format!("{kind} {name}");
    let mut rests = text.split(&definition).skip(1);
    rests.any(|rest| !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_'))
}

/// Whether `item`, with whatever stands before it, implements or declares the type or the trait `of`.
fn is_about(item: &str, of: &str) -> bool {
    let mut lines = item.lines();
    lines.any(|line| {
        let is_head = line.starts_with("impl") || line.starts_with("pub trait");
        let mut words = line.split(|next: char| !next.is_alphanumeric() && next != '_');
        is_head && words.any(|word| word == of)
    })
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
            let is_there = match name.split_once("::") {
                Some((of, function)) => {
                    let mut items = text.split("\n}\n");
                    items.any(|item| is_about(item, of) && defines(item, "fn", function))
                }
                None => ["fn", "struct"]
                    .iter()
                    .any(|kind| defines(&text, kind, name)),
            };
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
    assert!(map.lines().count() <= 220);
}

/// The files that a text links to in line, without those of other places.
fn links(text: &str) -> Vec<&str> {
    let ends = text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    ends.filter(|link| !link.starts_with("http") && !link.starts_with('#'))
        .collect()
}

#[test]
fn the_links_between_the_pages_lead_somewhere_in_the_repository_and_in_the_docs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = read("README.md").expect("the readme");
    for link in links(&readme) {
        let (file, heading) = link.split_once('#').unwrap_or((link, ""));
        let page = read(file).unwrap_or_else(|| panic!("README.md links to {link}"));
        let has_heading = page.lines().filter_map(|line| line.strip_prefix("## "));
        let anchors: Vec<_> = has_heading
            .map(|title| title.to_lowercase().replace(' ', "-"))
            .collect();
        assert!(
            heading.is_empty() || anchors.iter().any(|anchor| anchor == heading),
            "{link}: {anchors:?}"
        );
    }
    let crate_docs = read("src/lib.rs").expect("the crate's docs");
    for entry in fs::read_dir(root.join("docs")).expect("the pages") {
        let path = entry.expect("a page").path();
        let name = path
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let text = fs::read_to_string(&path).expect("a page");
        assert!(
            crate_docs.contains(&format!("page!(\"{name}\")")),
            "{name} is not rendered"
        );
        assert_eq!(
            links(&text),
            [""; 0],
            "{name}: these would lead nowhere in the docs"
        );
        // Not within code, where TOML has its tables so.
        let prose = text.split("```").step_by(2).flat_map(str::lines);
        for line in prose.filter(|line| line.starts_with('[')) {
            let (label, file) = line.split_once("]: ").expect("a definition");
            assert!(root.join("docs").join(file).is_file(), "{name}: {line}");
            assert!(
                crate_docs.contains(&format!("{label}]: crate::")),
                "{name}: {line} is no module in the docs"
            );
        }
    }
}
