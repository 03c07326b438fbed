//! The setting that says what of an API's answers refuses a token, wherever they come from.

use std::sync::Arc;

use crate::api_answer::ApiAnswer;
use crate::refusal_rule::RefusalRule;
use crate::source::builder::TokenSourceBuilder;

impl TokenSourceBuilder {
    /// What of an API's answers refuses the token, where status and headers do not say it: the final URL
    /// is seen, too. Takes the place of [`refused_when`](Self::refused_when).
    ///
    /// Unlike that one it is asked about answers of other origins as well, where a redirect led and no
    /// token went: Azure DevOps sends whoever has an expired token to a sign-in page.
    ///
    /// ```
    /// # fn build(grant: impl reqwest_bearer::Grant) -> Result<(), reqwest_bearer::Error> {
    /// use reqwest_bearer::TokenSource;
    ///
    /// let source = TokenSource::builder(grant)
    ///     .refused_when_answered(|answer| {
    ///         let signs_in = answer.is_from_elsewhere() && answer.url().path().contains("signin");
    ///         signs_in || answer.status() == 203 || answer.status() == 401
    ///     })
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    /// Default: see [`refused_when`](Self::refused_when); an answer of another origin refuses nothing,
    /// and a 401 has the reason in its extensions
    /// ([`Error::find_in_response`](crate::Error::find_in_response)).
    pub fn refused_when_answered(
        mut self,
        rule: impl Fn(&ApiAnswer<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.hooks.refuses = RefusalRule::Anywhere(Arc::new(rule));
        self
    }
}
