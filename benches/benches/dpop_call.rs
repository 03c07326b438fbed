//! What a warm call costs whose token is bound to a key, beside a warm call with a bearer token and the bare
//! signature.
//!
//! Fails if it misses the goal in time: most of it is the signature, for which instructions say little. Each
//! round measures all of them in turn, and what counts is the median of the ratio within one round.

use std::process::ExitCode;
use std::time::Instant;

use reqwest_bearer::{SigningAlgorithm, SigningKey};
use reqwest_bearer_benches::dpop::BoundCall;
use reqwest_bearer_benches::{Call, Contender, in_turn, instructions_per_call, median};
use tokio::runtime::Builder;

/// At most this share of the signature and a bearer call together.
const GOAL: f64 = 1.15;
const ROUNDS: usize = 1_001;
// Short, so that most rounds are over before another program gets the CPU.
const CALLS_PER_ROUND: u32 = 50;

/// The parts, and what is made of them.
#[derive(Clone, Copy)]
enum Part {
    Signature,
    BearerCall,
    SignatureAndCall,
    Proof,
    BoundCall,
}

impl Part {
    const ALL: [Self; 5] = [
        Self::Signature,
        Self::BearerCall,
        Self::SignatureAndCall,
        Self::Proof,
        Self::BoundCall,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::BearerCall => "bearer call",
            Self::SignatureAndCall => "one after the other",
            Self::Proof => "proof",
            Self::BoundCall => "bound call",
        }
    }
}

struct Calls {
    bearer: Call,
    bound: BoundCall,
}

impl Calls {
    fn warm(algorithm: SigningAlgorithm) -> Self {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let key = SigningKey::generate(algorithm).expect("random numbers");
        runtime.block_on(async {
            Self {
                bearer: Call::warm(Contender::Ours).await,
                bound: BoundCall::warm(key).await,
            }
        })
    }

    fn make(&mut self, part: Part) {
        match part {
            Part::Signature => self.bound.sign_at_once(),
            Part::BearerCall => self.bearer.make_at_once(),
            Part::SignatureAndCall => {
                self.bound.sign_at_once();
                self.bearer.make_at_once();
            }
            Part::Proof => self.bound.prove_at_once(),
            Part::BoundCall => self.bound.make_at_once(),
        }
    }
}

fn main() -> ExitCode {
    // G2, H5
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, part, calls] = &arguments[..]
        && flag == "--calls"
    {
        make_calls(part, calls);
        return ExitCode::SUCCESS;
    }
    // What every server with DPoP knows, and the fastest there is.
    let algorithms = [SigningAlgorithm::Es256, SigningAlgorithm::EdDsa];
    let mut ratios = algorithms.map(measured).into_iter();
    let reached = ratios.next().expect("there are two");
    println!(
        "goal: a bound call with {} takes at most {GOAL} of the signature and a bearer call",
        algorithms[0]
    );
    if reached <= GOAL {
        ExitCode::SUCCESS
    } else {
        println!("missed: {reached:.3}");
        ExitCode::FAILURE
    }
}

/// Prints the parts; gives back what the goal is about.
fn measured(algorithm: SigningAlgorithm) -> f64 {
    let mut calls = Calls::warm(algorithm);
    let figures = in_turn(&mut Part::ALL.clone(), ROUNDS, |part| {
        let began = Instant::now();
        for _ in 0..CALLS_PER_ROUND {
            calls.make(*part);
        }
        began.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS_PER_ROUND)
    });
    println!(
        "{:<20} {:>10} {:>26} {:>14}",
        algorithm.as_str(),
        "us",
        "of signature + bearer call",
        "instructions"
    );
    let [signature, bearer, _, _, _] = &figures[..] else {
        unreachable!("there are five parts")
    };
    let share = |part: &[f64]| {
        let parts = signature.iter().zip(bearer).zip(part);
        let ratios: Vec<_> = parts
            .map(|((signature, bearer), part)| part / (signature + bearer))
            .collect();
        median(&ratios)
    };
    for (part, times) in Part::ALL.into_iter().zip(&figures) {
        println!(
            "{:<20} {:>10.2} {:>26.3} {:>14}",
            part.name(),
            median(times),
            share(times),
            match algorithm {
                SigningAlgorithm::Es256 =>
                    instructions_per_call(&["--calls", part.name()]).to_string(),
                _ => String::new(),
            }
        );
    }
    share(&figures[4])
}

/// What the program does under callgrind.
fn make_calls(part: &str, calls: &str) {
    let part = Part::ALL.into_iter().find(|known| known.name() == part);
    let part = part.expect("the name of a part");
    let calls: u64 = calls.parse().expect("a number");
    let mut warm = Calls::warm(SigningAlgorithm::Es256);
    for _ in 0..calls {
        warm.make(part);
    }
}
