use std::path::{Path, PathBuf};

/// Where the servers that are written in Python stand, and the Python that has their libraries.
///
/// Panics, with a plain message, when the libraries are not installed.
#[must_use]
pub fn installed_python() -> (PathBuf, PathBuf) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("python");
    let python = folder.join("venv/bin/python");
    assert!(
        python.is_file(),
        "the authorization server of this test is not installed: run tests/run.sh, \
         which makes the virtual environment tests/real-parts/python/venv"
    );
    (folder, python)
}
