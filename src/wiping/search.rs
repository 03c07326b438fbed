//! Looks for what a test leaves behind in the memory of its process.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail it")]

use std::fs::{File, read_to_string};
use std::os::unix::fs::FileExt as _;
use std::sync::{Mutex, PoisonError};

use zeroize::Zeroizing;

const PAGE: usize = 16 * 1024;

/// A text that the program has nowhere yet, not even in its code.
pub(crate) fn unheard_of() -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(64);
    for _ in 0..4 {
        write!(text, "{:016x}", fastrand::u64(..)).unwrap();
    }
    text
}

/// How often `text` is found in the memory that this process writes to: once for the text itself.
pub(crate) fn copies_of(text: &str) -> usize {
    // One search at a time: each would find what the other has just read.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let memory = File::open("/proc/self/mem").unwrap();
    let maps = read_to_string("/proc/self/maps").unwrap();
    let (mut page, empty) = (Zeroizing::new(vec![0; PAGE]), vec![0; PAGE]);
    // Never read into itself: what it holds would be found once more, and once more.
    let own = page.as_ptr() as u64;
    let own_end = own + PAGE as u64;
    let mut found = 0;
    for line in maps.lines().filter(|line| line.contains(" rw-p ")) {
        let (range, _) = line.split_once(' ').unwrap();
        let (start, end) = range.split_once('-').unwrap();
        let number = |text| u64::from_str_radix(text, 16).unwrap();
        let (mut at, end) = (number(start), number(end));
        while at < end {
            if (own..own_end).contains(&at) {
                at = own_end;
                continue;
            }
            let until = if at < own { end.min(own) } else { end };
            let most = PAGE.min(usize::try_from(until - at).unwrap());
            let Ok(read @ 1..) = memory.read_at(&mut page[..most], at) else {
                break;
            };
            // Most of it is, and windows are slow.
            if page[..read] != empty[..read] {
                found += count(&page[..read], text.as_bytes());
            }
            // The next page begins where a text that this one has cut begins.
            at += match (read as u64).checked_sub(text.len() as u64 - 1) {
                Some(step @ 1..) if at + (read as u64) < until => step,
                _ => read as u64,
            };
        }
    }
    found
}

/// How often `text` is in `page`. Each place that it can be at has one byte at a multiple of its
/// length, and only where that byte is one of its letters it is worth a closer look.
fn count(page: &[u8], text: &[u8]) -> usize {
    let length = text.len();
    let marks = (0..page.len()).step_by(length);
    let likely = marks.filter(|mark| text.contains(&page[*mark]));
    let near = likely.map(|mark| {
        let (from, to) = (mark.saturating_sub(length - 1), mark + length);
        &page[from..to.min(page.len())]
    });
    let matches = |near: &[u8]| {
        near.windows(length)
            .filter(|window| *window == text)
            .count()
    };
    near.map(matches).sum()
}
