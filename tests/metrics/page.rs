//! The table of `docs/MONITORING.md`.

use std::collections::{BTreeMap, BTreeSet};

use metrics::Unit;

use crate::support::recorder::{Kind, Recorder};

const PAGE: &str = include_str!("../../docs/MONITORING.md");

/// A row of the table of metrics.
struct Row {
    kind: Kind,
    unit: Unit,
    labels: BTreeSet<String>,
}

fn rows() -> BTreeMap<String, Row> {
    let rows = PAGE.lines().filter(|line| line.starts_with("| `reqwest_"));
    let words = |cell: &str| -> Vec<String> {
        let cell = cell.split(',').map(|word| word.trim().trim_matches('`'));
        cell.map(ToOwned::to_owned).collect()
    };
    let row = |line: &str| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let kind = match cells[2] {
            "histogram" => Kind::Histogram,
            "counter" => Kind::Counter,
            "gauge" => Kind::Gauge,
            other => panic!("{other} is no type of a metric"),
        };
        let unit = match cells[3] {
            "seconds" => Unit::Seconds,
            "count" => Unit::Count,
            other => panic!("{other} is no unit of ours"),
        };
        let labels = words(cells[4]).into_iter().collect();
        (words(cells[1]).remove(0), Row { kind, unit, labels })
    };
    rows.map(row).collect()
}

/// Everything that was measured stands in the table, with these labels and no others.
pub(crate) fn expect_as_written(recorder: &Recorder) {
    let rows = rows();
    for series in recorder.series() {
        let row = rows.get(&series.name);
        let row = row.unwrap_or_else(|| panic!("{} is not in the table", series.name));
        let labels: BTreeSet<_> = series.labels.keys().cloned().collect();
        assert_eq!(
            (series.kind, &labels),
            (row.kind, &row.labels),
            "{series:?}"
        );
    }
}

#[test]
fn what_is_described_to_the_recorder_is_what_the_page_has() {
    // J1
    let recorder = Recorder::default();
    metrics::with_local_recorder(&recorder, reqwest_bearer::describe_metrics);
    let of_page = rows()
        .into_iter()
        .map(|(name, row)| (name, (row.kind, Some(row.unit))));
    assert_eq!(recorder.described(), of_page.collect());
    assert_eq!(rows().len(), 8);
}

#[test]
fn names_end_as_prometheus_wants_them_to() {
    // J1
    for (name, row) in rows() {
        assert_eq!(
            name.ends_with("_total"),
            row.kind == Kind::Counter,
            "{name}"
        );
        assert_eq!(
            name.ends_with("_seconds"),
            row.unit == Unit::Seconds,
            "{name}"
        );
    }
}
