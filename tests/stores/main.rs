//! Every store that comes with the crate keeps the contract of `TokenStore`. A new store is a bench
//! in a file of its own, and one line here.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail it")]

#[path = "../support/mod.rs"]
mod support;

mod contract;
mod encrypted;
mod file;
mod memory;

use contract::hold;
use encrypted::Encrypted;
use file::InFile;
use memory::Memory;

#[tokio::test(flavor = "multi_thread")]
async fn the_memory_store_keeps_the_contract() {
    hold(Memory::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_memory_store_keeps_the_contract() {
    hold(Encrypted(Memory::default())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_store_keeps_the_contract() {
    hold(InFile::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_file_store_keeps_the_contract() {
    hold(Encrypted(InFile::new())).await;
}
