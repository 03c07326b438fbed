//! Breadth first through all states: what it finds first is a shortest way to a breach.
//!
//! Its own, since the one well-kept checker of this kind, `stateright`, cannot be had without the HTTP
//! server of its web interface, nor without an executor, a random number generator and a JSON library.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::hash::{Hash, Hasher};

/// A way from one state to the next.
pub(super) struct Edge<'search, State, Deed> {
    pub(super) before: &'search State,
    pub(super) after: &'search State,
    /// What happened on the way that a property, or the test, has to know.
    pub(super) deeds: &'search [Deed],
}

/// A property that holds on every edge that can be reached, with its name.
pub(super) type Property<State, Deed> = (&'static str, fn(&Edge<'_, State, Deed>) -> bool);

pub(super) trait Model {
    type State: Clone + Hash;
    type Action: Copy + Debug;
    type Deed: Debug;

    fn actions(&self, state: &Self::State) -> Vec<Self::Action>;
    fn next(&self, state: &Self::State, action: Self::Action) -> (Self::State, Vec<Self::Deed>);
    /// Whether nothing is left to be done: a state without an action that is not at rest is a dead end.
    fn is_at_rest(&self, state: &Self::State) -> bool;
    /// What of a deed is counted.
    fn kind(deed: &Self::Deed) -> String;
}

/// How much was explored.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) states: usize,
    pub(super) edges: usize,
    pub(super) deeds: BTreeMap<String, usize>,
}

/// Explores all that can be reached. A breach panics with the actions that lead to it.
pub(super) fn explore<M: Model>(
    model: &M,
    initial: Vec<M::State>,
    properties: &[Property<M::State, M::Deed>],
) -> Tally {
    let mut tally = Tally::default();
    // By a hash of 64 bits: of 2^20 states two share one with a chance of 1 in 2^25.
    let mut ways: HashMap<u64, Option<(u64, M::Action)>> = HashMap::new();
    let with_digest = |state| (digest(&state), state);
    let mut layer: Vec<_> = initial.into_iter().map(with_digest).collect();
    for (state, _) in &layer {
        ways.insert(*state, None);
    }
    while !layer.is_empty() {
        let mut next_layer = Vec::new();
        for (from, before) in &layer {
            let actions = model.actions(before);
            assert!(
                !actions.is_empty() || model.is_at_rest(before),
                "a dead end"
            );
            for action in actions {
                let (after, deeds) = model.next(before, action);
                tally.edges += 1;
                for deed in &deeds {
                    *tally.deeds.entry(M::kind(deed)).or_default() += 1;
                }
                let edge = Edge {
                    before,
                    after: &after,
                    deeds: &deeds,
                };
                for (name, holds) in properties {
                    assert!(
                        holds(&edge),
                        "{name} does not hold after\n{}\nwhich is {deeds:?}",
                        way_to(&ways, *from, action)
                    );
                }
                let to = digest(&after);
                ways.entry(to).or_insert_with(|| {
                    next_layer.push((to, after));
                    Some((*from, action))
                });
            }
        }
        layer = next_layer;
    }
    tally.states = ways.len();
    tally
}

fn way_to<A: Debug>(ways: &HashMap<u64, Option<(u64, A)>>, mut state: u64, last: A) -> String {
    let mut way = vec![format!("{last:?}")];
    while let Some(Some((before, action))) = ways.get(&state) {
        way.push(format!("{action:?}"));
        state = *before;
    }
    way.reverse();
    way.join("\n")
}

fn digest(state: &impl Hash) -> u64 {
    let mut hasher = Mixer::default();
    state.hash(&mut hasher);
    hasher.finish()
}

/// A hash that is fast where nothing is optimized: half of the time would be spent in the one of the
/// standard library.
#[derive(Default)]
struct Mixer(u64);

impl Mixer {
    fn mix(&mut self, word: u64) {
        // As `wyhash` does it: both halves of a product of 128 bits.
        let product = u128::from(self.0 ^ word ^ 0xA076_1D64_78BD_642F) * 0xE703_7ED1_A0B4_28DB;
        self.0 = (product as u64) ^ ((product >> 64) as u64);
    }
}

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, word: u8) {
        self.mix(word.into());
    }

    fn write_u32(&mut self, word: u32) {
        self.mix(word.into());
    }

    fn write_u64(&mut self, word: u64) {
        self.mix(word);
    }

    fn write_usize(&mut self, word: usize) {
        self.mix(word as u64);
    }

    fn write_isize(&mut self, word: isize) {
        self.mix(word as u64);
    }
}
