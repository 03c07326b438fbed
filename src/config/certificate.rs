//! The client certificate of an authorization server or of an API.

use crate::config::keys;
use crate::config::table::Table;
use crate::mtls::ClientCertificate;

const WHERE: &str = "a table with the files of the certificate and its key: \
                     `{ file = \"/run/tls/tls.crt\", key_file = \"/run/tls/tls.key\" }`";

/// The certificate of the table's `client_certificate`, if there is one.
pub(super) fn read(table: &mut Table<'_>) -> Option<ClientCertificate> {
    let mut place = table.table("client_certificate", keys::CERTIFICATE, WHERE)?;
    if !place.has("file") {
        place.missing(
            "file",
            "it has the certificate, and the key too where there is no `key_file`",
        );
    }
    let (file, key_file) = (place.path_of_file("file"), place.path_of_file("key_file"));
    place.finish_all();
    let file = file?;
    Some(match key_file {
        Some(key) => ClientCertificate::files(file, key),
        None => ClientCertificate::file(file),
    })
}
