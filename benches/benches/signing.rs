//! What signing costs, by each algorithm: the signature alone, the proof of a call, and a whole token request
//! by `private_key_jwt` over loopback beside one with a client secret.
//!
//! Shown, not judged: which key a client has is up to its server.

use std::time::Instant;

use reqwest_bearer::{
    AuthorizationCode, ClientAuthentication, SigningAlgorithm, SigningKey, TokenEndpoint,
};
use reqwest_bearer_benches::dpop::BoundCall;
use reqwest_bearer_benches::dpop_server::DpopServer;
use reqwest_bearer_benches::{in_turn, median};
use tokio::runtime::{Builder, Runtime};

const ROUNDS: usize = 101;
/// In each round: enough for a clock, and few enough that a round is short.
const SIGNATURES: u32 = 4;
const ATTEMPTS: u32 = 4;

/// The three of RSA with PKCS#1 and those with PSS cost the same but for the digest.
const ALGORITHMS: [SigningAlgorithm; 5] = [
    SigningAlgorithm::Es256,
    SigningAlgorithm::Es384,
    SigningAlgorithm::EdDsa,
    SigningAlgorithm::Rs256,
    SigningAlgorithm::Ps256,
];

#[derive(Clone, Copy)]
enum Part {
    Signature,
    Proof,
    AttemptBySecret,
    AttemptByKey,
}

const PARTS: [Part; 4] = [
    Part::Signature,
    Part::Proof,
    Part::AttemptBySecret,
    Part::AttemptByKey,
];

fn main() {
    // G2, H1, H5
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let server = DpopServer::start();
    println!(
        "{:<8} {:>12} {:>8} {:>18} {:>22} {:>26}",
        "us",
        "signature",
        "proof",
        "attempt by secret",
        "by private_key_jwt",
        "by secret + signature = 1"
    );
    for algorithm in ALGORITHMS {
        let key = SigningKey::generate(algorithm).expect("random numbers");
        let signer = runtime.block_on(BoundCall::warm(key.clone()));
        let by_secret = endpoint(&server, ClientAuthentication::client_secret_post("c", "s"));
        let by_key = endpoint(&server, ClientAuthentication::private_key_jwt("c", key));
        let figures = in_turn(&mut PARTS.clone(), ROUNDS, |part| match part {
            Part::Signature => per_call(SIGNATURES, || signer.sign_at_once()),
            Part::Proof => per_call(SIGNATURES, || signer.prove_at_once()),
            Part::AttemptBySecret => per_call(ATTEMPTS, || attempt(&runtime, &by_secret)),
            Part::AttemptByKey => per_call(ATTEMPTS, || attempt(&runtime, &by_key)),
        });
        let [signature, proof, by_secret, by_key] = &figures[..] else {
            unreachable!("there are four parts")
        };
        let parts = signature.iter().zip(by_secret).zip(by_key);
        let ratios: Vec<_> = parts
            .map(|((signature, by_secret), by_key)| by_key / (signature + by_secret))
            .collect();
        println!(
            "{:<8} {:>12.1} {:>8.1} {:>18.1} {:>22.1} {:>26.3}",
            algorithm.as_str(),
            median(signature),
            median(proof),
            median(by_secret),
            median(by_key),
            median(&ratios),
        );
    }
}

fn endpoint(server: &DpopServer, client: ClientAuthentication) -> TokenEndpoint {
    TokenEndpoint::new(server.token_url(), client).expect("a URL on loopback")
}

/// One token request, without a flight around it.
fn attempt(runtime: &Runtime, endpoint: &TokenEndpoint) {
    let answered = runtime.block_on(AuthorizationCode::new("code").exchange(endpoint));
    answered.expect("the server is up");
}

fn per_call(calls: u32, call: impl Fn()) -> f64 {
    let began = Instant::now();
    for _ in 0..calls {
        call();
    }
    began.elapsed().as_secs_f64() * 1e6 / f64::from(calls)
}
