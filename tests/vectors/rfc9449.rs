//! RFC 9449 sections 4.2, 6.1 and 7.1. That ours has the claims of 7.1's request is tested beside the code
//! which makes them (`src/dpop/proof.rs`).

use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED;
use reqwest_bearer::PublicJwk;
use serde_json::{Value, json};

use crate::{decode, verifies};

const TOKEN_REQUEST: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6Ik\
    VDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCR\
    nMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQ\
    SIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIj\
    oiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwia\
    WF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg\
    4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";

const API_REQUEST: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6Ik\
    VDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCR\
    nMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQ\
    SIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIj\
    oiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0Z\
    WRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNF\
    c05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71E\
    OptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA";

fn part(jws: &str, number: usize) -> Value {
    let part = jws.split('.').nth(number).unwrap();
    serde_json::from_slice(&decode(part)).unwrap()
}

fn is_signed(jws: &str) -> bool {
    let jwk = &part(jws, 0)["jwk"];
    let member = |name: &str| decode(jwk[name].as_str().unwrap());
    let point = [vec![4], member("x"), member("y")].concat();
    verifies(jws, &ECDSA_P256_SHA256_FIXED, &point)
}

#[test]
fn rfc9449_4_2_and_7_1_the_proofs_are_signed_by_the_key_in_them() {
    // H5
    for jws in [TOKEN_REQUEST, API_REQUEST] {
        assert!(is_signed(jws));
        assert_eq!(part(jws, 0)["typ"], "dpop+jwt");
    }
    assert_eq!(
        part(TOKEN_REQUEST, 1),
        json!({
            "jti": "-BwC3ESc6acc2lTc",
            "htm": "POST",
            "htu": "https://server.example.com/token",
            "iat": 1_562_262_616
        })
    );
    assert_eq!(
        part(API_REQUEST, 1)["ath"],
        "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"
    );
}

#[test]
fn rfc9449_6_1_the_thumbprint_of_the_key_that_a_token_is_bound_to() {
    // H5
    let jwk = part(TOKEN_REQUEST, 0)["jwk"].to_string();
    let thumbprint = PublicJwk::from_jwk(&jwk).unwrap().thumbprint();
    assert_eq!(thumbprint, "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
}
