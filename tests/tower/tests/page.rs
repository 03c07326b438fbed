//! The README shows lines of the page on tower, whose examples are compiled.

#[test]
fn the_lines_of_the_readme_are_lines_of_the_page() {
    let (readme, page) = (
        include_str!("../../../README.md"),
        include_str!("../../../docs/TOWER.md"),
    );
    let mut shown = readme.split("```rust,ignore\n").skip(1);
    let (lines, _) = shown
        .next()
        .and_then(|rest| rest.split_once("```"))
        .unwrap();
    assert!(lines.contains("BearerTokenLayer"));
    assert!(page.contains(lines), "the page has no longer:\n{lines}");
    assert!(
        shown.next().is_none(),
        "nobody compiles what else is ignored"
    );
}
