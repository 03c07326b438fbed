//! Plays the situations to the libraries, and writes `results.json`; `run.sh` builds what it needs.
//!
//! `harness [--case ID]... [LIBRARY]...`; without either, all of them.

mod adapter;
mod cases;
mod costs;
mod http;
mod libraries;
mod odd;
mod script;
mod table;

use std::fs;

use crate::table::{Results, SHORT, TABLES};

const RESULTS: &str = "results.json";

#[tokio::main]
async fn main() {
    let (cases, ids) = arguments();
    let mut results = match fs::read_to_string(RESULTS) {
        Ok(text) => serde_json::from_str(&text).expect("what an earlier run has left"),
        Err(_) => Results::default(),
    };
    for library in libraries::chosen(&ids) {
        for table in TABLES {
            for (case, _) in table.columns {
                if !cases.is_empty() && !cases.iter().any(|chosen| chosen == case) {
                    continue;
                }
                let cell = match table.name {
                    "odd" => odd::measure(case, library).await,
                    "costs" => costs::measure(case, library).await,
                    _ => cases::measure(case, library).await,
                };
                eprintln!("{}, {case}: {cell}", library.id);
                let row = libraries::row(&mut results, library);
                row.cells.insert((*case).to_owned(), cell);
            }
        }
        results.date = costs::said("date", &["-u", "+%Y-%m-%d"]);
        results.machine = costs::machine();
        let text = serde_json::to_string_pretty(&results).expect("it is text");
        fs::write(RESULTS, text + "\n").expect("this folder can be written");
    }
    // As the page wants them.
    println!("{}\n", results.origin());
    for table in TABLES.iter().chain([&SHORT]) {
        println!("{}\n", results.table(table));
    }
}

fn arguments() -> (Vec<String>, Vec<String>) {
    let (mut cases, mut ids) = (Vec::new(), Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--case" => cases.push(arguments.next().expect("the name of a case")),
            _ => ids.push(argument),
        }
    }
    (cases, ids)
}
