//! How challenges are written in a header line: RFC 9110 section 11.6.1.

use crate::challenge::BearerChallenge;

/// The reading of one header line, for the challenges of one scheme.
///
/// ```text
/// line      = #challenge
/// challenge = scheme [ 1*SP ( token68 / #( token BWS "=" BWS ( token / quoted-string ) ) ) ]
/// ```
/// A comma parts challenges as well as parameters, so a word after a comma is a parameter if `=`
/// follows it, and otherwise a scheme. Two liberties beyond the grammar, both for input that it
/// has no reading for: a parameter after `Bearer,` belongs to that challenge, and a blank alone
/// parts parameters after a quoted value, as AWS API Gateway sends it
/// (`Bearer scope="" error="invalid_token"`).
///
/// What follows the first fault of a line is not read, because nobody knows there whether a comma
/// or a quote is still text. What came before it stays, but for the parameter at the fault: in
/// `scope=read write` the scope is not `read`.
pub(crate) struct Line<'line> {
    rest: &'line [u8],
    /// Which one's challenges are wanted, in any case.
    scheme: &'line str,
    open: Option<Open>,
    found: Vec<BearerChallenge>,
}

/// The challenge whose parameters are being read.
struct Open {
    /// `None` for another scheme, whose parameters are read only to find their end.
    wanted: Option<BearerChallenge>,
    parameters: usize,
    has_token68: bool,
}

/// The place where a line leaves the grammar.
struct Fault;

impl<'line> Line<'line> {
    pub(crate) fn read(line: &'line [u8], scheme: &'line str) -> Vec<BearerChallenge> {
        let mut reading = Self {
            rest: line,
            scheme,
            open: None,
            found: Vec::new(),
        };
        let outcome = reading.challenges();
        // A scheme with nothing but a fault behind it says nothing that can be trusted.
        if outcome.is_ok()
            || reading
                .open
                .as_ref()
                .is_some_and(|open| open.parameters > 0)
        {
            reading.close();
        }
        reading.found
    }

    fn challenges(&mut self) -> Result<(), Fault> {
        let mut scheme_may_begin = true;
        loop {
            scheme_may_begin |= self.skip_commas();
            if self.rest.is_empty() {
                return Ok(());
            }
            let word = self.token()?;
            if self.skip_equals_sign() {
                self.parameter(word)?;
            } else if scheme_may_begin {
                self.scheme(word)?;
            } else {
                return Err(Fault);
            }
            scheme_may_begin = false;
        }
    }

    fn scheme(&mut self, name: &[u8]) -> Result<(), Fault> {
        self.close();
        let wanted = name
            .eq_ignore_ascii_case(self.scheme.as_bytes())
            .then(BearerChallenge::default);
        // `skip_equals_sign` leaves the blanks where they are if it finds none, so this sees them.
        let parted = self.skip_blanks() || self.at_end_of_element();
        self.open = Some(Open {
            wanted,
            parameters: 0,
            has_token68: self.skip_token68(),
        });
        if parted { Ok(()) } else { Err(Fault) }
    }

    fn parameter(&mut self, name: &[u8]) -> Result<(), Fault> {
        let quoted = self.rest.first() == Some(&b'"');
        let value = if quoted {
            self.quoted_string()?
        } else {
            self.token()?.to_vec()
        };
        let blank = self.skip_blanks();
        if !(self.at_end_of_element() || quoted && blank) {
            return Err(Fault);
        }
        let open = self.open.as_mut().filter(|open| !open.has_token68);
        let open = open.ok_or(Fault)?;
        open.parameters += 1;
        if let Some(wanted) = &mut open.wanted {
            wanted.set(name, &value);
        }
        Ok(())
    }

    fn close(&mut self) {
        self.found
            .extend(self.open.take().and_then(|open| open.wanted));
    }

    fn token(&mut self) -> Result<&'line [u8], Fault> {
        let token = self.skip_while(is_token_byte);
        if token.is_empty() {
            Err(Fault)
        } else {
            Ok(token)
        }
    }

    fn quoted_string(&mut self) -> Result<Vec<u8>, Fault> {
        let mut text = Vec::new();
        let mut bytes = self.rest.iter().copied().skip(1);
        loop {
            match bytes.next().ok_or(Fault)? {
                b'"' => break,
                b'\\' => text.push(bytes.next().ok_or(Fault)?),
                byte => text.push(byte),
            }
        }
        let left = bytes.len();
        self.rest = &self.rest[self.rest.len() - left..];
        Ok(text)
    }

    /// Skips a `token68` if that is all there is up to the next comma; the word of a parameter
    /// looks like one until its value begins.
    fn skip_token68(&mut self) -> bool {
        let before = self.rest;
        let is_body = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
        let body = self.skip_while(is_body);
        self.skip_while(|byte| byte == b'=');
        self.skip_blanks();
        if !body.is_empty() && self.at_end_of_element() {
            return true;
        }
        self.rest = before;
        false
    }

    /// Skips `BWS "=" BWS`, or nothing.
    fn skip_equals_sign(&mut self) -> bool {
        let before = self.rest;
        self.skip_blanks();
        if let Some((b'=', rest)) = self.rest.split_first() {
            self.rest = rest;
            self.skip_blanks();
            return true;
        }
        self.rest = before;
        false
    }

    /// Skips the ends of list elements, empty ones too; whether there was any.
    fn skip_commas(&mut self) -> bool {
        self.skip_while(|byte| byte == b',' || is_blank(byte))
            .contains(&b',')
    }

    fn skip_blanks(&mut self) -> bool {
        !self.skip_while(is_blank).is_empty()
    }

    fn skip_while(&mut self, belongs: impl Fn(u8) -> bool) -> &'line [u8] {
        let end = self.rest.iter().position(|byte| !belongs(*byte));
        let (skipped, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        skipped
    }

    fn at_end_of_element(&self) -> bool {
        matches!(self.rest.first(), None | Some(b','))
    }
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// `tchar` of RFC 9110 section 5.6.2.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
