//! The key that the program signs with: in a file that may be replaced, or read once.

use crate::config::keys;
use crate::config::secret::Found;
use crate::config::table::Table;
use crate::signer::{SigningAlgorithm, SigningKey, SigningKeyFile, SigningKeySource};

const WHERE: &str = "a table that says where the key is found: `{ file = \"/run/secrets/client.pem\" }` or \
                     `{ env = \"NAME\" }`";

/// The signing key of the table's `signing_key`, if there is one and nothing is wrong with it.
pub(super) fn read(table: &mut Table<'_>) -> Option<SigningKeySource> {
    let mut place = table.table("signing_key", keys::SIGNING_KEY, WHERE)?;
    let key_id = place.settled_text("key_id");
    let algorithm = place.word(
        "algorithm",
        &SigningAlgorithm::ALL.map(SigningAlgorithm::as_str),
    );
    let algorithm = algorithm.and_then(SigningAlgorithm::of_name);
    let certificates = place.path_of_file("certificates");
    let found = Found::within(&mut place);
    let key = found.and_then(|found| match found {
        Found::File(path) => {
            let mut file = SigningKeyFile::new(path);
            if let Some(key_id) = key_id {
                file = file.key_id(key_id);
            }
            if let Some(algorithm) = algorithm {
                file = file.algorithm(algorithm);
            }
            if let Some(certificates) = certificates {
                file = file.certificates(certificates);
            }
            Some(SigningKeySource::from(file))
        }
        Found::Text(_) if certificates.is_some() => {
            place.fault(
                "certificates",
                "is for a key in a `file`; elsewhere its certificates follow it in its own PEM",
            );
            None
        }
        Found::Text(text) => {
            let parse = || {
                let mut key = if text.expose().trim_start().starts_with('{') {
                    SigningKey::from_jwk(text.expose())?
                } else {
                    SigningKey::from_pem(text.expose())?
                };
                if let Some(key_id) = key_id {
                    key = key.with_key_id(key_id);
                }
                match algorithm {
                    Some(algorithm) => key.with_algorithm(algorithm),
                    None => Ok(key),
                }
            };
            match parse() {
                Ok(key) => Some(key.into()),
                Err(error) => {
                    place.faults.of_builder(place.path(), &error);
                    None
                }
            }
        }
    });
    place.finish_all();
    key
}
