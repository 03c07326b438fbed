//! Instructions, which are exact: the program runs itself under callgrind.

use std::process::Command;

const FEW: u64 = 1_000;
const MANY: u64 = 3_000;

/// The instructions of one call: of this program with these arguments and, as the last one, a number of calls
/// to make. The difference between two numbers holds no start of the program.
pub fn instructions_per_call(arguments: &[&str]) -> u64 {
    let few = collected(arguments, FEW);
    let many = collected(arguments, MANY);
    (many - few) / (MANY - FEW)
}

fn collected(arguments: &[&str], calls: u64) -> u64 {
    let program = std::env::current_exe().expect("the path of this program");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(arguments)
        .arg(calls.to_string())
        .output()
        .expect("valgrind is installed: apt-get install valgrind");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let count = said.lines().find_map(|line| line.split_once("Collected :"));
    let (_, count) = count.expect("callgrind says how much it collected");
    count.trim().parse().expect("a number")
}
