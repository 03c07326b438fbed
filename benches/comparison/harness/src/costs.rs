//! What a library costs: the crates below it, the program, its build, and a token that is there.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::json;

use crate::adapter::Adapter;
use crate::cases::NONE;
use crate::libraries::{Language, Library};
use crate::script::{Script, State};

const FEW: u64 = 1_000;
const MANY: u64 = 3_000;

/// Of libraries of Rust alone; those of other languages are no choice by size.
pub async fn measure(case: &str, library: &Library) -> String {
    if library.language != Language::Rust {
        return NONE.to_owned();
    }
    match case {
        "crates" => crates(library).to_string(),
        "size" => {
            let program = fs::metadata(library.program()).expect("it is built");
            (program.len() / 1024).to_string()
        }
        // `run.sh` has written it, if it built the library from nothing.
        "build" => fs::read_to_string(format!("target/{}/seconds", library.id))
            .map_or("not measured".to_owned(), |text| text.trim().to_owned()),
        "instructions" => instructions(library).await,
        other => panic!("no such case: {other}"),
    }
}

/// Those that a program has with the library, the harness's adapter and its own package aside.
fn crates(library: &Library) -> usize {
    let arguments = [
        "tree", "--locked", "--edges", "normal", "--prefix", "none", "-p", library.id,
    ];
    let tree = said("cargo", &arguments);
    let names: BTreeSet<_> = tree
        .lines()
        .map(|line| line.trim_end_matches(" (*)"))
        .collect();
    let below_the_adapter = said(
        "cargo",
        &[
            "tree", "--locked", "--edges", "normal", "--prefix", "none", "-p", "adapter",
            "--depth", "0",
        ],
    );
    let counts = |line: &&&str| {
        !line.starts_with(&format!("{} v", library.id)) && **line != below_the_adapter
    };
    names.iter().filter(counts).count()
}

/// Of callgrind: the difference between two numbers of times holds no start of the program.
async fn instructions(library: &Library) -> String {
    let few = collected(library, FEW).await;
    let many = collected(library, MANY).await;
    match (few, many) {
        (Some(few), Some(many)) => (many.saturating_sub(few) / (MANY - FEW)).to_string(),
        _ => NONE.to_owned(),
    }
}

async fn collected(library: &Library, count: u64) -> Option<u64> {
    let log = format!("target/{}/callgrind.log", library.id);
    let command = [
        "valgrind",
        "--tool=callgrind",
        "--callgrind-out-file=/dev/null",
        &format!("--log-file={log}"),
        &library.program(),
    ];
    let mut adapter = Adapter::start(&command.map(str::to_owned));
    let script = Script::start(State::default()).await;
    adapter.set_up(&script, None).await.ok()?;
    let first = adapter.call(1).await;
    assert!(first[0].is_ok(), "the first call: {:?}", first[0]);
    let answer = adapter.ask(json!({"do": "headers", "count": count})).await;
    adapter.end().await;
    let text = fs::read_to_string(log).expect("valgrind has written it");
    let (_, collected) = text.split_once("Collected :")?;
    let collected = collected.lines().next()?.trim().parse().ok()?;
    (answer["can"] == true).then_some(collected)
}

/// The processor, how many of them, and what was built with.
pub fn machine() -> String {
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processor
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("", |line| line.trim_start_matches([' ', '\t', ':']));
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    let [rustc, node, python] = [("rustc", "-V"), ("node", "-v"), ("python3", "-V")]
        .map(|(program, argument)| said(program, &[argument]));
    format!("{count} CPUs, {model}; {rustc}, Node {node}, {python}")
}

/// What a program prints.
pub fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {arguments:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
