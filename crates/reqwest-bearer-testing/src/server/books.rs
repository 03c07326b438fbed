//! What a fake authorization server has issued, and to whom.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

/// Everything that the server knows. Nothing in here asks what time it is.
#[derive(Debug)]
pub(crate) struct Books {
    /// In each token and code, so that no server takes another one's.
    mark: String,
    issued: usize,
    pub(super) token_lifetime: Duration,
    pub(super) rotates: bool,
    /// Members of every token answer; null takes one away.
    pub(super) members: Map<String, Value>,
    /// The secret of each client; a public one has none.
    pub(super) clients: HashMap<String, Option<String>>,
    grants: Vec<Grant>,
    access_tokens: HashMap<String, AccessToken>,
    refresh_tokens: HashMap<String, RefreshToken>,
    pub(super) codes: HashMap<String, Code>,
    pub(super) devices: HashMap<String, Device>,
}

/// What somebody was granted; ended with all its tokens when one of its refresh tokens is used twice.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(super) client_id: String,
    pub(super) user: Option<String>,
    pub(super) scope: Option<String>,
    ended: bool,
}

/// The place of a grant in the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GrantId(usize);

#[derive(Debug)]
struct AccessToken {
    grant: GrantId,
    expires_at: SystemTime,
    revoked: bool,
}

#[derive(Debug)]
struct RefreshToken {
    grant: GrantId,
    spent: bool,
}

/// An authorization code (RFC 6749 section 4.1.2).
#[derive(Debug)]
pub(crate) struct Code {
    pub(super) client_id: String,
    pub(super) user: String,
    pub(super) scope: Option<String>,
    pub(super) redirect_uri: String,
    /// The S256 challenge (RFC 7636 section 4.2).
    pub(super) challenge: Option<String>,
    /// What was issued for it, once it has been used.
    pub(super) spent_on: Option<GrantId>,
}

/// What waits for a user on another device (RFC 8628).
#[derive(Debug)]
pub(crate) struct Device {
    pub(super) client_id: String,
    pub(super) scope: Option<String>,
    pub(super) user_code: String,
    pub(super) decision: Option<Decision>,
}

#[derive(Clone, Debug)]
pub(crate) enum Decision {
    Approved { user: String },
    Denied,
}

/// What becomes of a refresh token that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presented {
    Good(GrantId),
    Bad,
}

impl Books {
    pub(super) fn new(mark: String) -> Self {
        Self {
            mark,
            issued: 0,
            token_lifetime: Duration::from_secs(600),
            rotates: true,
            members: Map::new(),
            clients: HashMap::new(),
            grants: Vec::new(),
            access_tokens: HashMap::new(),
            refresh_tokens: HashMap::new(),
            codes: HashMap::new(),
            devices: HashMap::new(),
        }
    }

    pub(super) fn grant(
        &mut self,
        client_id: &str,
        user: Option<&str>,
        scope: Option<String>,
    ) -> GrantId {
        self.grants.push(Grant {
            client_id: client_id.to_owned(),
            user: user.map(ToOwned::to_owned),
            scope,
            ended: false,
        });
        GrantId(self.grants.len() - 1)
    }

    pub(super) fn granted(&self, grant: GrantId) -> Option<&Grant> {
        self.grants.get(grant.0)
    }

    /// Ends what was granted: none of its tokens is good any more.
    pub(super) fn end(&mut self, grant: GrantId) {
        if let Some(grant) = self.grants.get_mut(grant.0) {
            grant.ended = true;
        }
    }

    fn is_open(&self, grant: GrantId) -> bool {
        self.granted(grant).is_some_and(|grant| !grant.ended)
    }

    /// A text that no server has issued before, such as `access-40123-7`.
    pub(super) fn new_text(&mut self, kind: &str) -> String {
        self.issued += 1;
        format!("{kind}-{}-{}", self.mark, self.issued)
    }

    pub(super) fn issue_access_token(&mut self, grant: GrantId, now: SystemTime) -> String {
        let token = self.new_text("access");
        // A lifetime beyond the calendar is none that a test waits for.
        let expires_at = now.checked_add(self.token_lifetime).unwrap_or(now);
        let issued = AccessToken {
            grant,
            expires_at,
            revoked: false,
        };
        self.access_tokens.insert(token.clone(), issued);
        token
    }

    pub(super) fn issue_refresh_token(&mut self, grant: GrantId) -> String {
        let token = self.new_text("refresh");
        let issued = RefreshToken {
            grant,
            spent: false,
        };
        self.refresh_tokens.insert(token.clone(), issued);
        token
    }

    /// Whether an API should take this access token.
    pub(super) fn is_valid(&self, token: &str, now: SystemTime) -> bool {
        let token = self.access_tokens.get(token);
        token.is_some_and(|token| {
            !token.revoked && now < token.expires_at && self.is_open(token.grant)
        })
    }

    pub(super) fn grant_of(&self, access_token: &str) -> Option<&Grant> {
        self.granted(self.access_tokens.get(access_token)?.grant)
    }

    /// Judges a refresh token. One that was spent before ends its grant: its thief and its owner cannot be
    /// told apart (RFC 9700 section 4.14.2).
    pub(super) fn present(&mut self, refresh_token: &str, client_id: &str) -> Presented {
        let Some(&RefreshToken { grant, spent }) = self.refresh_tokens.get(refresh_token) else {
            return Presented::Bad;
        };
        let is_theirs = self
            .granted(grant)
            .is_some_and(|grant| grant.client_id == client_id);
        if !is_theirs {
            return Presented::Bad;
        }
        if spent {
            self.end(grant);
        }
        match self.is_open(grant) {
            true => Presented::Good(grant),
            false => Presented::Bad,
        }
    }

    pub(super) fn spend(&mut self, refresh_token: &str) {
        if let Some(token) = self.refresh_tokens.get_mut(refresh_token) {
            token.spent = true;
        }
    }

    /// Ends an access token alone, or what a refresh token was granted for (RFC 7009 section 2.1). Returns
    /// whether there was such a token.
    pub(super) fn revoke(&mut self, token: &str, client_id: Option<&str>) -> bool {
        let found = self.access_tokens.get(token).map(|token| token.grant);
        let found = found.or_else(|| self.refresh_tokens.get(token).map(|token| token.grant));
        let Some(grant) = found else {
            return false;
        };
        let owner = self.granted(grant).map(|grant| grant.client_id.as_str());
        if client_id.is_some() && client_id != owner {
            return false;
        }
        match self.access_tokens.get_mut(token) {
            Some(token) => token.revoked = true,
            None => self.end(grant),
        }
        true
    }

    pub(super) fn revoke_access_tokens(&mut self) {
        for token in self.access_tokens.values_mut() {
            token.revoked = true;
        }
    }

    /// Ends everything that this user was granted.
    pub(super) fn end_user(&mut self, user: &str) {
        for grant in &mut self.grants {
            if grant.user.as_deref() == Some(user) {
                grant.ended = true;
            }
        }
    }
}
