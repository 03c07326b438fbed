//! The lines of this process: each is in its file when the next thing happens.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use real_parts::fleet::Line;

/// Appends whole lines, and keeps nothing back that a kill could take along.
#[derive(Debug)]
pub(crate) struct Log(File);

impl Log {
    pub(crate) fn append_to(path: &Path) -> Self {
        let file = File::options().create(true).append(true).open(path);
        Self(file.expect("the log can be written"))
    }

    pub(crate) fn write(&self, line: &Line) {
        let mut text = serde_json::to_string(line).expect("a line is JSON");
        text.push('\n');
        (&self.0)
            .write_all(text.as_bytes())
            .expect("the log can be written");
    }
}
