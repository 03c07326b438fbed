//! Those who wait at one server: one line for each client, and the clients take turns (A7).

use std::collections::{HashMap, VecDeque};

/// Lines of waiters by clients. A client with a thousand users in line keeps another one's single user
/// waiting for one turn.
#[derive(Debug)]
pub(crate) struct Lines<W> {
    /// The clients whose lines are not empty, the next one first.
    turns: VecDeque<u64>,
    lines: HashMap<u64, VecDeque<W>>,
}

impl<W> Default for Lines<W> {
    fn default() -> Self {
        Self {
            turns: VecDeque::new(),
            lines: HashMap::new(),
        }
    }
}

impl<W> Lines<W> {
    pub(crate) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// At the end of its client's line.
    pub(crate) fn push_back(&mut self, client: u64, waiter: W) {
        self.line(client).push_back(waiter);
    }

    /// At the head of its client's line.
    pub(crate) fn push_front(&mut self, client: u64, waiter: W) {
        self.line(client).push_front(waiter);
    }

    /// The next waiter of the client whose turn it is.
    pub(crate) fn pop(&mut self) -> Option<W> {
        let client = self.turns.pop_front()?;
        let line = self.lines.get_mut(&client)?;
        let waiter = line.pop_front();
        if line.is_empty() {
            self.lines.remove(&client);
        } else {
            self.turns.push_back(client);
        }
        waiter
    }

    /// Takes out those for whom `leaves` has something to say, with that.
    pub(crate) fn take_out<T>(
        &mut self,
        mut leaves: impl FnMut(u64, &W) -> Option<T>,
    ) -> Vec<(W, T)> {
        let mut taken = Vec::new();
        for (client, line) in &mut self.lines {
            for waiter in std::mem::take(line) {
                match leaves(*client, &waiter) {
                    Some(said) => taken.push((waiter, said)),
                    None => line.push_back(waiter),
                }
            }
        }
        self.lines.retain(|_, line| !line.is_empty());
        self.turns.retain(|client| self.lines.contains_key(client));
        taken
    }

    fn line(&mut self, client: u64) -> &mut VecDeque<W> {
        let line = self.lines.entry(client).or_default();
        if line.is_empty() {
            self.turns.push_back(client);
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::Lines;

    fn all(mut lines: Lines<u32>) -> Vec<u32> {
        std::iter::from_fn(move || lines.pop()).collect()
    }

    #[test]
    fn clients_take_turns_and_within_one_client_the_first_comes_first() {
        // A7
        let mut lines = Lines::default();
        for waiter in [10, 11, 12, 13] {
            lines.push_back(1, waiter);
        }
        lines.push_back(2, 20);
        lines.push_back(3, 30);
        lines.push_back(2, 21);
        lines.push_front(1, 9);
        assert_eq!(all(lines), [9, 20, 30, 10, 21, 11, 12, 13]);
    }

    #[test]
    fn those_who_are_taken_out_leave_the_others_in_their_order() {
        // A8
        let mut lines = Lines::default();
        for (client, waiter) in [(1, 10), (2, 20), (1, 11), (2, 21)] {
            lines.push_back(client, waiter);
        }
        let mut taken = lines.take_out(|client, _| (client == 1).then_some("closed"));
        taken.sort_unstable();
        assert_eq!(taken, [(10, "closed"), (11, "closed")]);
        assert!(!lines.is_empty());
        lines.push_back(1, 12);
        assert_eq!(all(lines), [20, 12, 21]);
    }
}
