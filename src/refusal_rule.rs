//! What of an API's answers refuses a token, where somebody has said so.

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, StatusCode};

use crate::api_answer::ApiAnswer;
use crate::challenge::{blames_proof, refuses};
use crate::token::TokenType;

type AtHome = dyn Fn(StatusCode, &HeaderMap) -> bool + Send + Sync;
type Anywhere = dyn Fn(&ApiAnswer<'_>) -> bool + Send + Sync;

/// A rule of the user's, or ours.
#[derive(Clone, Default)]
pub(crate) enum RefusalRule {
    /// A 401, unless its challenge says that another token would not help (C5).
    #[default]
    Ours,
    /// One for answers of the origin that the request was sent to.
    AtHome(Arc<AtHome>),
    /// One for answers of any origin (K29).
    Anywhere(Arc<Anywhere>),
}

impl RefusalRule {
    #[inline]
    pub(crate) fn is_refused_by(&self, answer: &ApiAnswer<'_>) -> bool {
        match self {
            Self::Ours => {
                refuses(answer.status, answer.headers, answer.token_type)
                    && !answer.is_from_elsewhere()
            }
            Self::AtHome(rule) => {
                !answer.is_from_elsewhere()
                    && rule(answer.status, answer.headers)
                    && !is_about_proof(answer)
            }
            Self::Anywhere(rule) => rule(answer) && !is_about_proof(answer),
        }
    }
}

/// Whether the token is good, whatever a rule says, and its proof is to be another.
fn is_about_proof(answer: &ApiAnswer<'_>) -> bool {
    answer.token_type == TokenType::Dpop && blames_proof(answer.status, answer.headers)
}

impl fmt::Debug for RefusalRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Ours => "Ours",
            Self::AtHome(_) => "AtHome",
            Self::Anywhere(_) => "Anywhere",
        })
    }
}
