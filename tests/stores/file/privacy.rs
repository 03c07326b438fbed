//! Who may read the files.

#![cfg(unix)]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use reqwest_bearer::{FileStore, Lease, TokenStore as _};

use super::{LONG, folder};
use crate::{key, record};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn files_and_the_folder_that_is_made_are_their_owners_alone() {
    // D6
    let folder = folder();
    let store = FileStore::new(folder.join("deeper/tokens.json")).unwrap();
    let key = key("a");
    // A look makes nothing.
    assert_eq!(store.load(&key).await.unwrap(), None);
    assert!(!folder.exists());
    let lease = Lease::new(LONG).unwrap();
    assert!(store.lease(&key, &lease).await.unwrap());
    assert!(store.save(&key, record("a"), None, LONG).await.unwrap());
    for made in [folder.as_path(), &folder.join("deeper")] {
        assert_eq!(mode(made), 0o700);
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(folder.join("deeper")).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{path:?}");
        names.push(path.file_name().unwrap().to_owned());
    }
    names.sort();
    let expected = ["tokens.json", "tokens.json.leases", "tokens.json.lock"];
    assert_eq!(names, expected);
}

#[tokio::test]
async fn a_file_that_others_may_read_is_narrowed_when_it_is_read_or_replaced() {
    // D6
    let path = folder().join("tokens.json");
    let store = FileStore::new(&path).unwrap();
    let key = key("a");
    let first = record("first");
    assert!(store.save(&key, first.clone(), None, LONG).await.unwrap());
    set_mode(&path, 0o644);
    assert!(store.load(&key).await.unwrap().is_some());
    assert_eq!(mode(&path), 0o600);
    set_mode(&path, 0o666);
    let saved = store.save(&key, record("second"), Some(first.version()), LONG);
    assert!(saved.await.unwrap());
    assert_eq!(mode(&path), 0o600);
}

#[tokio::test]
async fn a_file_that_is_not_ours_keeps_its_mode() {
    let folder = folder();
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("tokens.json");
    fs::write(&path, "not ours").unwrap();
    set_mode(&path, 0o644);
    let store = FileStore::new(&path).unwrap();
    assert!(store.load(&key("a")).await.unwrap().is_some());
    assert_eq!(mode(&path), 0o644);
    assert!(store.remove(&key("a")).await.unwrap().is_some());
    assert_eq!(mode(&folder.join("tokens.json.unreadable")), 0o644);
}

#[tokio::test]
async fn nothing_is_written_through_a_link() {
    // D6
    let folder = folder();
    fs::create_dir_all(&folder).unwrap();
    let theirs = folder.join("theirs");
    fs::write(&theirs, "theirs").unwrap();
    // What somebody put where the new file will be written, or what a killed process left there.
    symlink(&theirs, folder.join("tokens.json.new")).unwrap();
    let path = folder.join("tokens.json");
    let store = FileStore::new(&path).unwrap();
    assert!(
        store
            .save(&key("a"), record("a"), None, LONG)
            .await
            .unwrap()
    );
    assert_eq!(fs::read(&theirs).unwrap(), b"theirs");
    assert!(!fs::symlink_metadata(&path).unwrap().is_symlink());
}

#[tokio::test]
async fn a_store_shows_its_path_and_nothing_else() {
    // D6
    let path = folder().join("tokens.json");
    let store = FileStore::new(&path).unwrap();
    assert!(
        store
            .save(&key("a"), record("s3cr3t"), None, LONG)
            .await
            .unwrap()
    );
    assert_eq!(
        format!("{store:?}"),
        format!("FileStore {{ file: {path:?}, .. }}")
    );
}
