//! Who is compared, how each is started, and when its early window is open.

use std::fs;
use std::time::Duration;

use crate::table::Results;

#[derive(Clone, Copy, PartialEq)]
pub enum Language {
    Rust,
    Node,
    Python,
}

pub struct Library {
    pub id: &'static str,
    pub name: &'static str,
    /// The package whose version counts.
    pub package: &'static str,
    pub language: Language,
    /// The lifetime of a token that is in the library's early window after `wait`, or right away; where there
    /// is no such window, any.
    pub early: Early,
    /// It reads the answers of token endpoints itself, and is no part of a client for one provider.
    pub reads_answers: bool,
}

pub struct Early {
    pub expires_in: u64,
    pub wait: Duration,
}

const fn early(expires_in: u64, wait_ms: u64) -> Early {
    let wait = Duration::from_millis(wait_ms);
    Early { expires_in, wait }
}

pub const LIBRARIES: [Library; 13] = [
    Library {
        id: "ours",
        name: "**this crate**",
        package: "reqwest-bearer",
        language: Language::Rust,
        // Its last 20 %.
        early: early(10, 8_500),
        reads_answers: true,
    },
    Library {
        id: "by-hand",
        name: "`oauth2`, and a `RwLock` by hand",
        package: "oauth2",
        language: Language::Rust,
        // The margin of 30 s.
        early: early(20, 0),
        reads_answers: true,
    },
    Library {
        id: "huskarl-adapter",
        name: "huskarl",
        package: "huskarl",
        language: Language::Rust,
        // Between the 60 s that are set and the 30 s in which calls wait.
        early: early(60, 0),
        reads_answers: true,
    },
    Library {
        id: "azure",
        name: "azure_core",
        package: "azure_core",
        language: Language::Rust,
        // 5 min.
        early: early(60, 0),
        reads_answers: false,
    },
    Library {
        id: "object-store",
        name: "object_store",
        package: "object_store",
        language: Language::Rust,
        // 5 min, and not within 0.1 s.
        early: early(60, 200),
        reads_answers: false,
    },
    Library {
        id: "aws-smithy",
        name: "AWS's `ExpiringCache`",
        package: "aws-smithy-runtime",
        language: Language::Rust,
        // 10 s.
        early: early(8, 0),
        reads_answers: false,
    },
    Library {
        id: "badgateway",
        name: "@badgateway/oauth2-client",
        package: "@badgateway/oauth2-client",
        language: Language::Node,
        early: early(60, 0),
        reads_answers: true,
    },
    Library {
        id: "simple-oauth2",
        name: "simple-oauth2, by its README",
        package: "simple-oauth2",
        language: Language::Node,
        // The 300 s of its README.
        early: early(60, 0),
        reads_answers: true,
    },
    Library {
        id: "openid-client",
        name: "openid-client, and a promise by hand",
        package: "openid-client",
        language: Language::Node,
        early: early(60, 0),
        reads_answers: true,
    },
    Library {
        id: "axios-auth-refresh",
        name: "axios-auth-refresh",
        package: "axios-auth-refresh",
        language: Language::Node,
        early: early(60, 0),
        reads_answers: false,
    },
    Library {
        id: "authlib_adapter",
        name: "Authlib",
        package: "Authlib",
        language: Language::Python,
        // 60 s.
        early: early(30, 0),
        reads_answers: true,
    },
    Library {
        id: "requests_oauthlib_adapter",
        name: "requests-oauthlib, and a lock by hand",
        package: "requests-oauthlib",
        language: Language::Python,
        early: early(60, 0),
        reads_answers: true,
    },
    Library {
        id: "httpx_auth_adapter",
        name: "httpx-auth",
        package: "httpx_auth",
        language: Language::Python,
        // 30 s.
        early: early(20, 0),
        reads_answers: true,
    },
];

impl Library {
    /// Where the harness is started, `run.sh` has put everything in its place.
    pub fn command(&self) -> Vec<String> {
        match self.language {
            Language::Rust => vec![self.program()],
            Language::Node => vec!["node".to_owned(), format!("node/{}.js", self.id)],
            Language::Python => vec![
                "python/venv/bin/python".to_owned(),
                format!("python/{}.py", self.id),
            ],
        }
    }

    pub fn program(&self) -> String {
        format!("target/{0}/release/{0}", self.id)
    }

    /// As the lock file of its language has it.
    pub fn version(&self) -> String {
        let (file, before) = match self.language {
            Language::Rust => (
                "Cargo.lock",
                format!("name = \"{}\"\nversion = \"", self.package),
            ),
            Language::Node => ("node/package.json", format!("\"{}\": \"", self.package)),
            Language::Python => ("python/requirements.txt", format!("{}==", self.package)),
        };
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}"));
        let (_, rest) = text
            .split_once(&before)
            .unwrap_or_else(|| panic!("{file} has no {}", self.package));
        let end = rest.find(['"', ' ', '\n']).unwrap_or(rest.len());
        rest[..end].to_owned()
    }
}

/// The chosen ones, or all.
pub fn chosen(ids: &[String]) -> Vec<&'static Library> {
    let is_chosen = |library: &&Library| ids.is_empty() || ids.iter().any(|id| id == library.id);
    LIBRARIES.iter().filter(is_chosen).collect()
}

/// The row of a library in the results, made if it is not there.
pub fn row<'results>(
    results: &'results mut Results,
    library: &Library,
) -> &'results mut crate::table::Row {
    let place = LIBRARIES.iter().position(|known| known.id == library.id);
    let place = place.expect("it is one of them");
    let known = results.rows.iter().position(|row| row.id == library.id);
    let index = known.unwrap_or_else(|| {
        let order = |id: &str| LIBRARIES.iter().position(|known| known.id == id);
        let index = results
            .rows
            .partition_point(|row| order(&row.id) < Some(place));
        results.rows.insert(index, crate::table::Row::default());
        index
    });
    let row = &mut results.rows[index];
    row.id = library.id.to_owned();
    row.name = library.name.to_owned();
    row.version = library.version();
    row
}
