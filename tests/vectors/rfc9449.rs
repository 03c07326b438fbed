//! RFC 9449 sections 4.2 and 6.1. That a proof has the claims of 4.2 and 7.1 is tested beside the code which
//! makes them (`src/dpop/proof.rs`).

use reqwest_bearer::PublicJwk;
use serde_json::Value;

use crate::decode;

const TOKEN_REQUEST: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6Ik\
    VDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCR\
    nMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQ\
    SIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIj\
    oiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwia\
    WF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg\
    4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";

fn part(jws: &str, number: usize) -> Value {
    let part = jws.split('.').nth(number).unwrap();
    serde_json::from_slice(&decode(part)).unwrap()
}

#[test]
fn rfc9449_4_2_the_public_key_in_a_proof_has_its_members_and_no_other() {
    // H5
    let jwk = &part(TOKEN_REQUEST, 0)["jwk"];
    let read = PublicJwk::from_jwk(&jwk.to_string()).unwrap();
    assert_eq!(read.to_value(), *jwk);
}

#[test]
fn rfc9449_6_1_the_thumbprint_of_the_key_that_a_token_is_bound_to() {
    // H5
    let jwk = part(TOKEN_REQUEST, 0)["jwk"].to_string();
    let thumbprint = PublicJwk::from_jwk(&jwk).unwrap().thumbprint();
    assert_eq!(thumbprint, "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
}
