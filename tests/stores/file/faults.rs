//! Files that are not what they should be, or in the way.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use reqwest_bearer::{
    ErrorKind, FileStore, Lease, StoreKey, StoredRecord, TestClock, TokenStore as _, Version,
};

use super::{LONG, folder};
use crate::{key, record};

/// A path whose folder is there.
fn path() -> PathBuf {
    let folder = folder();
    fs::create_dir_all(&folder).unwrap();
    folder.join("tokens.json")
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    path.with_file_name(format!("tokens.json.{ending}"))
}

async fn save(store: &FileStore, key: &StoreKey, expected: Option<Version>) -> StoredRecord {
    let record = record("s3cr3t");
    let saved = store.save(key, record.clone(), expected, LONG).await;
    assert!(saved.unwrap());
    record
}

/// What a file of ours looks like.
async fn own_file() -> Vec<u8> {
    let path = path();
    save(&FileStore::new(&path).unwrap(), &key("own"), None).await;
    fs::read(path).unwrap()
}

/// Whatever may stand where our file should be.
async fn strange_files() -> Vec<Vec<u8>> {
    let own = own_file().await;
    let text = String::from_utf8(own.clone()).unwrap();
    let mut files: Vec<Vec<u8>> = [1, own.len() / 2, own.len() - 1]
        .map(|length| own[..length].to_vec())
        .into();
    files.extend(
        ["\"number\":0", "\"number\":2", "\"number\":\"1\""].map(|number| {
            let other = text.replace("\"number\":1", number);
            assert_ne!(other, text);
            other.into_bytes()
        }),
    );
    files.extend(
        [
            b"".as_slice(),
            b"null",
            b"{}",
            b"[1, 2]",
            b"{\"format\":\"reqwest-bearer tokens\",\"number\":1}",
            b"access_token = s3cr3t",
            b"\xff\xfe\0",
            &[own.as_slice(), b"}"].concat(),
            &vec![0; own.len()],
        ]
        .map(<[u8]>::to_vec),
    );
    files
}

#[tokio::test]
async fn a_file_that_is_not_ours_counts_as_absent_and_is_kept() {
    // D6, F7
    for strange in strange_files().await {
        let path = path();
        let store = FileStore::new(&path).unwrap();
        let (alice, bob) = (key("alice"), key("bob"));
        for aside in ["unreadable", "unreadable.2", "unreadable.3"] {
            fs::write(&path, &strange).unwrap();
            for key in [&alice, &bob] {
                let found = store.load(key).await.unwrap().unwrap();
                assert!(found.data().is_err(), "{found:?}");
                assert!(!format!("{found:?}").contains("s3cr3t"), "{found:?}");
                assert_eq!(found.version(), Version::of_bytes(&strange));
            }
            // Who expects nothing has not looked, and moves nothing.
            let blind = store.save(&alice, record("new"), None, LONG);
            assert!(!blind.await.unwrap());
            assert_eq!(fs::read(&path).unwrap(), strange);

            let saved = save(&store, &alice, Some(Version::of_bytes(&strange))).await;
            assert_eq!(store.load(&alice).await.unwrap(), Some(saved));
            assert_eq!(store.load(&bob).await.unwrap(), None);
            assert_eq!(fs::read(beside(&path, aside)).unwrap(), strange);
        }
    }
}

#[tokio::test]
async fn what_is_removed_from_a_file_that_is_not_ours_is_set_aside() {
    // F7
    for strange in strange_files().await {
        let path = path();
        let store = FileStore::new(&path).unwrap();
        fs::write(&path, &strange).unwrap();
        let key = key("a");
        let removed = store.remove(&key).await.unwrap().unwrap();
        assert_eq!(removed.version(), Version::of_bytes(&strange));
        assert!(removed.data().is_err(), "{removed:?}");
        assert_eq!(store.load(&key).await.unwrap(), None);
        assert_eq!(fs::read(beside(&path, "unreadable")).unwrap(), strange);
    }
}

#[tokio::test]
async fn a_lease_leaves_a_file_that_is_not_ours_where_it_is() {
    // F7
    let path = path();
    let store = FileStore::new(&path).unwrap();
    fs::write(&path, "not ours").unwrap();
    let key = key("a");
    let lease = Lease::new(LONG).unwrap();
    assert!(store.lease(&key, &lease).await.unwrap());
    assert_eq!(fs::read(&path).unwrap(), b"not ours");
    // So that who holds the lease can save what was expected before.
    save(&store, &key, Some(Version::of_bytes(b"not ours"))).await;
}

#[tokio::test]
async fn a_broken_record_leaves_the_others_whole() {
    // F7
    let path = path();
    let store = FileStore::new(&path).unwrap();
    let (broken, nameless, whole) = (key("broken"), key("nameless"), key("whole"));
    let version = save(&store, &broken, None).await.version();
    let other = save(&store, &nameless, None).await.version();
    let intact = record("intact");
    assert!(
        store
            .save(&whole, intact.clone(), None, LONG)
            .await
            .unwrap()
    );
    let text = fs::read_to_string(&path).unwrap();
    let mangled = text
        .replace(&version.to_string(), &format!("{version}\",\"x\":\""))
        .replace(&other.to_string(), "no version")
        .replace("czNjcjN0", "c!NjcjN0");
    fs::write(&path, &mangled).unwrap();
    assert_eq!(store.load(&whole).await.unwrap(), Some(intact.clone()));
    for key in [&broken, &nameless] {
        let found = store.load(key).await.unwrap().unwrap();
        assert!(found.data().is_err(), "{found:?}");
        let saved = save(&store, key, Some(found.version())).await;
        assert_eq!(store.load(key).await.unwrap(), Some(saved));
    }
    assert_eq!(store.load(&whole).await.unwrap(), Some(intact));
}

#[tokio::test]
async fn a_file_of_leases_that_cannot_be_read_holds_none() {
    // F6
    let path = path();
    let store = FileStore::new(&path).unwrap();
    let key = key("a");
    let (mine, theirs) = (Lease::new(LONG).unwrap(), Lease::new(LONG).unwrap());
    for broken in ["", "{", "null", "\0\0\0\0"] {
        assert!(store.lease(&key, &mine).await.unwrap());
        fs::write(beside(&path, "leases"), broken).unwrap();
        assert!(store.lease(&key, &theirs).await.unwrap(), "{broken:?}");
        assert!(!store.lease(&key, &mine).await.unwrap(), "{broken:?}");
        store.release(&key, &theirs).await.unwrap();
        assert!(!beside(&path, "leases").exists());
    }
}

#[tokio::test]
async fn what_has_had_its_time_leaves_with_the_next_save() {
    // F9
    let path = path();
    let clock = TestClock::new();
    let store = FileStore::with_clock(&path, &clock).unwrap();
    let (old, new) = (key("old"), key("new"));
    let minute = Duration::from_secs(60);
    assert!(store.save(&old, record("old"), None, minute).await.unwrap());
    assert!(
        fs::read_to_string(&path)
            .unwrap()
            .contains(&old.to_string())
    );
    clock.advance(minute);
    save(&store, &new, None).await;
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(&new.to_string()) && !text.contains(&old.to_string()));
}

#[tokio::test]
async fn a_path_that_is_no_file_is_an_error_and_nothing_hangs() {
    for wrong in [
        Path::new(""),
        Path::new("/"),
        Path::new(env!("CARGO_TARGET_TMPDIR")),
    ] {
        let error = FileStore::new(wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Settings, "{wrong:?}");
    }
    let path = path();
    let store = FileStore::new(&path).unwrap();
    // To open a pipe is to wait for its other end.
    let made = Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    #[expect(clippy::disallowed_methods, reason = "real time bounds what hangs")]
    let answer = tokio::time::timeout(Duration::from_secs(10), store.load(&key("a"))).await;
    if answer.is_err() {
        // Here it is, so that the test can end.
        File::create(&path).unwrap();
    }
    let error = answer.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let error = store
        .save(&key("a"), record("a"), None, LONG)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
}

#[tokio::test]
async fn a_record_without_data_is_not_saved() {
    let store = FileStore::new(path()).unwrap();
    let version = Version::random().unwrap();
    let nothing = StoredRecord::unreadable(version, "nothing in it");
    let error = store
        .save(&key("a"), nothing, None, LONG)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
}

#[tokio::test]
async fn a_lock_that_somebody_keeps_is_an_error_and_no_wait_without_end() {
    let path = path();
    let store = FileStore::new(&path).unwrap();
    let key = key("a");
    let saved = save(&store, &key, None).await;
    let lock = File::open(beside(&path, "lock")).unwrap();
    lock.lock().unwrap();
    #[expect(
        clippy::disallowed_methods,
        reason = "the lock is a matter of real time"
    )]
    let error = tokio::time::timeout(Duration::from_secs(20), async {
        let replaced = store.save(&key, record("new"), Some(saved.version()), LONG);
        let error = replaced.await.unwrap_err();
        // Reading needs no lock.
        assert_eq!(store.load(&key).await.unwrap(), Some(saved.clone()));
        error
    })
    .await
    .unwrap();
    assert_eq!(error.kind(), ErrorKind::Store);
    assert!(error.to_string().contains("tokens.json.lock"), "{error}");
    lock.unlock().unwrap();
    save(&store, &key, Some(saved.version())).await;
}
