//! Measurements of several things in turn, so that a neighbour's load falls on all of them.

/// Measures each of `things` once a round, and gives back the figures of each.
pub fn in_turn<T>(
    things: &mut [T],
    rounds: usize,
    mut measure: impl FnMut(&mut T) -> f64,
) -> Vec<Vec<f64>> {
    let mut figures = vec![Vec::with_capacity(rounds); things.len()];
    for round in 0..rounds {
        for place in 0..things.len() {
            // Each round begins with another, or one of them would always follow the same.
            let chosen = (round + place) % things.len();
            figures[chosen].push(measure(&mut things[chosen]));
        }
    }
    figures
}

/// The middle one.
pub fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
