//! stub
#[derive(Clone, Debug)]
pub struct TokenSet(());
