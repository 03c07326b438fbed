//! What the provider has issued, and what of it is good.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::provider::answer::Refusal;
use crate::random::unguessable;

/// How long a browser may take from the provider back to the application.
const CODE_LIFETIME: Duration = Duration::from_secs(60);
/// Short, so that one can watch a token end.
pub(crate) const ACCESS_TOKEN_LIFETIME: Duration = Duration::from_secs(60);

/// Who signed in.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) subject: String,
    pub(crate) name: String,
}

/// One sign-in. All that is issued for it ends with it.
#[derive(Clone)]
pub(crate) struct SignIn {
    id: u64,
    pub(crate) person: Person,
    /// What the user has agreed to.
    pub(crate) scope: String,
}

/// What an authorization code stands for.
pub(crate) struct Code {
    pub(crate) sign_in: SignIn,
    pub(crate) challenge: String,
    pub(crate) nonce: Option<String>,
    issued_at: Instant,
}

/// The tokens that one request got.
pub(crate) struct Pair {
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
}

/// An access token: for which API it is, and what may be done with it there.
#[derive(Clone)]
pub(crate) struct Granted {
    pub(crate) sign_in: SignIn,
    pub(crate) client_id: &'static str,
    pub(crate) audience: &'static str,
    pub(crate) scope: String,
}

/// One that is good.
pub(crate) struct Live {
    pub(crate) granted: Granted,
    pub(crate) remaining: Duration,
}

#[derive(Default)]
pub(crate) struct Books(Mutex<Pages>);

#[derive(Default)]
struct Pages {
    sign_ins: u64,
    over: HashSet<u64>,
    codes: HashMap<String, Code>,
    spent_codes: HashMap<String, u64>,
    access_tokens: HashMap<String, (Granted, Instant)>,
    refresh_tokens: HashMap<String, (SignIn, Use)>,
}

#[derive(PartialEq, Eq)]
enum Use {
    Unspent,
    Spent,
}

impl Books {
    /// A code for somebody who has just signed in.
    pub(crate) fn issue_code(
        &self,
        person: Person,
        scope: String,
        challenge: String,
        nonce: Option<String>,
    ) -> Result<String, getrandom::Error> {
        let code = unguessable()?;
        let mut pages = self.lock();
        pages.sign_ins += 1;
        let sign_in = SignIn {
            id: pages.sign_ins,
            person,
            scope,
        };
        let record = Code {
            sign_in,
            challenge,
            nonce,
            issued_at: Instant::now(),
        };
        pages.codes.insert(code.clone(), record);
        Ok(code)
    }

    /// What the code stands for. It works once; a second use ends the sign-in (RFC 6749 section
    /// 4.1.2).
    pub(crate) fn spend_code(&self, code: &str) -> Result<Code, Refusal> {
        let mut pages = self.lock();
        if let Some(&sign_in) = pages.spent_codes.get(code) {
            pages.over.insert(sign_in);
            return Err(Refusal::InvalidGrant);
        }
        let record = pages.codes.remove(code).ok_or(Refusal::InvalidGrant)?;
        pages.spent_codes.insert(code.to_owned(), record.sign_in.id);
        if record.issued_at.elapsed() >= CODE_LIFETIME {
            return Err(Refusal::InvalidGrant);
        }
        Ok(record)
    }

    /// Whose refresh token it is. It works once; a second use ends the sign-in (RFC 9700 section
    /// 4.14.2).
    pub(crate) fn spend_refresh_token(&self, token: &str) -> Result<SignIn, Refusal> {
        let pages = &mut *self.lock();
        let (sign_in, use_) = pages
            .refresh_tokens
            .get_mut(token)
            .filter(|(sign_in, _)| !pages.over.contains(&sign_in.id))
            .ok_or(Refusal::InvalidGrant)?;
        if *use_ == Use::Spent {
            pages.over.insert(sign_in.id);
            return Err(Refusal::InvalidGrant);
        }
        *use_ = Use::Spent;
        Ok(sign_in.clone())
    }

    /// New tokens for a sign-in: an access token as granted, which lives as long as any, and a refresh token.
    pub(crate) fn issue(&self, granted: Granted) -> Result<Pair, getrandom::Error> {
        let sign_in = granted.sign_in.clone();
        let pair = Pair {
            access_token: self.issue_access_token(granted, ACCESS_TOKEN_LIFETIME)?,
            refresh_token: unguessable()?,
        };
        self.lock()
            .refresh_tokens
            .insert(pair.refresh_token.clone(), (sign_in, Use::Unspent));
        Ok(pair)
    }

    /// An access token alone, which lives for so long.
    pub(crate) fn issue_access_token(
        &self,
        granted: Granted,
        lifetime: Duration,
    ) -> Result<String, getrandom::Error> {
        let token = unguessable()?;
        let mut pages = self.lock();
        pages.drop_what_is_over();
        let ends_at = Instant::now() + lifetime;
        pages
            .access_tokens
            .insert(token.clone(), (granted, ends_at));
        Ok(token)
    }

    /// An access token ends alone, a refresh token with all of its sign-in (RFC 7009 section 2.1).
    pub(crate) fn revoke(&self, token: &str) {
        let mut pages = self.lock();
        pages.access_tokens.remove(token);
        if let Some((sign_in, _)) = pages.refresh_tokens.remove(token) {
            pages.over.insert(sign_in.id);
        }
    }

    /// What an access token is worth.
    pub(crate) fn find_live(&self, token: &str) -> Option<Live> {
        let pages = self.lock();
        let (granted, ends_at) = pages.access_tokens.get(token)?;
        let remaining = ends_at.checked_duration_since(Instant::now())?;
        let is_live = !pages.over.contains(&granted.sign_in.id);
        is_live.then(|| Live {
            granted: granted.clone(),
            remaining,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pages {
    fn drop_what_is_over(&mut self) {
        let now = Instant::now();
        let over = &self.over;
        self.codes
            .retain(|_, code| code.issued_at.elapsed() < CODE_LIFETIME);
        self.access_tokens
            .retain(|_, (granted, ends_at)| *ends_at > now && !over.contains(&granted.sign_in.id));
        self.refresh_tokens
            .retain(|_, (sign_in, _)| !over.contains(&sign_in.id));
    }
}

#[cfg(test)]
mod tests {
    use super::{Books, Granted, Person, SignIn};
    use crate::provider::answer::Refusal;

    fn signed_in() -> (Books, SignIn, String) {
        let books = Books::default();
        let person = Person {
            subject: "ada".to_owned(),
            name: "Ada".to_owned(),
        };
        let code = books.issue_code(person, "openid".to_owned(), "challenge".to_owned(), None);
        let code = code.unwrap();
        let sign_in = books.spend_code(&code).unwrap().sign_in;
        (books, sign_in, code)
    }

    fn granted(sign_in: &SignIn) -> Granted {
        Granted {
            sign_in: sign_in.clone(),
            client_id: "web",
            audience: "orders",
            scope: sign_in.scope.clone(),
        }
    }

    #[test]
    fn a_second_use_of_a_code_ends_the_sign_in() {
        let (books, sign_in, code) = signed_in();
        let pair = books.issue(granted(&sign_in)).unwrap();
        assert!(books.find_live(&pair.access_token).is_some());
        assert_eq!(books.spend_code(&code).err(), Some(Refusal::InvalidGrant));
        assert!(books.find_live(&pair.access_token).is_none());
    }

    #[test]
    fn a_second_use_of_a_refresh_token_ends_the_sign_in() {
        let (books, sign_in, _) = signed_in();
        let first = books.issue(granted(&sign_in)).unwrap();
        let sign_in = books.spend_refresh_token(&first.refresh_token).unwrap();
        let second = books.issue(granted(&sign_in)).unwrap();
        let again = books.spend_refresh_token(&first.refresh_token);
        assert_eq!(again.err(), Some(Refusal::InvalidGrant));
        let dead = books.spend_refresh_token(&second.refresh_token);
        assert_eq!(dead.err(), Some(Refusal::InvalidGrant));
        assert!(books.find_live(&second.access_token).is_none());
    }

    #[test]
    fn a_revoked_access_token_ends_alone_and_a_refresh_token_with_everything() {
        let (books, sign_in, _) = signed_in();
        let first = books.issue(granted(&sign_in)).unwrap();
        books.revoke(&first.access_token);
        assert!(books.find_live(&first.access_token).is_none());
        let second = books.issue(granted(&sign_in)).unwrap();
        assert!(books.find_live(&second.access_token).is_some());
        books.revoke(&second.refresh_token);
        assert!(books.find_live(&second.access_token).is_none());
        let dead = books.spend_refresh_token(&first.refresh_token);
        assert_eq!(dead.err(), Some(Refusal::InvalidGrant));
    }
}
