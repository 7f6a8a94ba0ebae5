//! Whether what many processes did to one place, and what they were told of it, can have happened one after the other.
//!
//! The place holds one value or none. Each deed took effect at one moment between its start and its end; nobody knows
//! which. A history is possible if the deeds can be put in an order that keeps these bounds and in which everybody was
//! told what the place then held (linearizability). The search is Wing and Gong's, with Lowe's memory of where it has been.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// One deed at the place.
#[derive(Debug, Clone)]
pub struct Deed {
    pub start: Duration,
    pub end: Duration,
    pub what: What,
}

/// What was done or seen. Every value is written once; its number tells it from all others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    Wrote(usize),
    Erased,
    SawNothing,
    Saw(usize),
    /// One of these values, which cannot be told apart.
    SawOneOf(String),
}

/// Where a search may give up: a history that takes so many steps is not decided, which is no proof of anything.
const STEPS: usize = 20_000_000;

/// The history of a place that holds nothing at first.
pub struct History<'a> {
    deeds: Vec<Deed>,
    /// Whose a value is, for those who saw no more than that.
    owner: &'a dyn Fn(usize) -> &'a str,
    /// Who saw a value.
    witnesses: HashMap<usize, Vec<usize>>,
}

/// What of the history has been put in order, and what the place then holds.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Moment {
    /// All before this one are.
    first: usize,
    /// And these after it, in order.
    beyond: Vec<usize>,
    held: Option<usize>,
}

impl<'a> History<'a> {
    pub fn new(mut deeds: Vec<Deed>, owner: &'a dyn Fn(usize) -> &'a str) -> Self {
        deeds.sort_by_key(|deed| deed.start);
        let mut witnesses: HashMap<usize, Vec<usize>> = HashMap::new();
        for (number, deed) in deeds.iter().enumerate() {
            if let What::Saw(value) = deed.what {
                witnesses.entry(value).or_default().push(number);
            }
        }
        Self { deeds, owner, witnesses }
    }

    /// Why it cannot have happened; `Ok` if it can.
    pub fn check(&self) -> Result<(), String> {
        let mut seen = HashSet::new();
        let mut open = vec![self.settled(Moment { first: 0, beyond: Vec::new(), held: None })];
        let mut furthest = open[0].clone();
        while let Some(moment) = open.pop() {
            if moment.first == self.deeds.len() {
                return Ok(());
            }
            if moment.first > furthest.first {
                furthest = moment.clone();
            }
            // Nobody can see it any more once it is gone.
            if moment.held.is_some_and(|value| !self.all_saw(&moment, value)) {
                continue;
            }
            let mut next = self.possible(&moment);
            // The one that ended first is tried first, so it comes last.
            next.sort_by_key(|number| std::cmp::Reverse(self.deeds[*number].end));
            for number in next {
                let held = match self.deeds[number].what {
                    What::Wrote(value) => Some(value),
                    What::Erased => None,
                    _ => continue,
                };
                let after = self.settled(self.with(&moment, number, held));
                if seen.insert(after.clone()) {
                    open.push(after);
                }
            }
            assert!(seen.len() < STEPS, "this history of {} deeds cannot be decided", self.deeds.len());
        }
        Err(self.story(&furthest))
    }

    /// Those that can come next: no other that is still to come had ended before they began.
    fn possible(&self, moment: &Moment) -> Vec<usize> {
        let mut earliest_end = Duration::MAX;
        let mut found = Vec::new();
        for number in moment.first..self.deeds.len() {
            let deed = &self.deeds[number];
            if deed.start > earliest_end {
                break;
            }
            if !moment.includes(number) {
                earliest_end = earliest_end.min(deed.end);
                found.push(number);
            }
        }
        found.retain(|number| self.deeds[*number].start <= earliest_end);
        found
    }

    /// With everything seen that is so and can come next: to put it off could only make it impossible.
    fn settled(&self, mut moment: Moment) -> Moment {
        let held = moment.held;
        loop {
            let mut possible = self.possible(&moment).into_iter();
            let Some(number) = possible.find(|number| self.is_so(&self.deeds[*number].what, held)) else {
                return moment;
            };
            moment = self.with(&moment, number, held);
        }
    }

    fn is_so(&self, what: &What, held: Option<usize>) -> bool {
        match what {
            // An erasure of nothing changes nothing, and yet may be the one that erases something later.
            What::Wrote(_) | What::Erased => false,
            What::SawNothing => held.is_none(),
            What::Saw(value) => held == Some(*value),
            What::SawOneOf(owner) => held.is_some_and(|held| (self.owner)(held) == owner),
        }
    }

    fn with(&self, moment: &Moment, number: usize, held: Option<usize>) -> Moment {
        let mut next = Moment { held, ..moment.clone() };
        let place = next.beyond.partition_point(|other| *other < number);
        next.beyond.insert(place, number);
        let gone = next.beyond.iter().enumerate().take_while(|(index, number)| next.first + index == **number).count();
        next.beyond.drain(..gone);
        next.first += gone;
        next
    }

    fn all_saw(&self, moment: &Moment, value: usize) -> bool {
        self.witnesses.get(&value).is_none_or(|witnesses| witnesses.iter().all(|number| moment.includes(*number)))
    }

    /// What happened around the place where no order was found.
    fn story(&self, moment: &Moment) -> String {
        let around = moment.first.saturating_sub(12)..(moment.first + 24).min(self.deeds.len());
        let line = |number: usize| {
            let Deed { start, end, what } = &self.deeds[number];
            let mark = if moment.includes(number) { ' ' } else { '?' };
            let what: String = format!("{what:?}").chars().take(60).collect();
            format!("{mark} {:10.4} – {:10.4} s  {what}\n", start.as_secs_f64(), end.as_secs_f64())
        };
        let lines: String = around.map(line).collect();
        format!("it holds {:?}, and what is marked has no place after that:\n{lines}", moment.held)
    }
}

impl Moment {
    fn includes(&self, number: usize) -> bool {
        number < self.first || self.beyond.binary_search(&number).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::What::{Erased, Saw, SawNothing, SawOneOf, Wrote};
    use super::*;

    fn check(deeds: &[(u64, u64, What)]) -> Result<(), String> {
        let deed = |(start, end, what): &(u64, u64, What)| Deed {
            start: Duration::from_secs(*start),
            end: Duration::from_secs(*end),
            what: what.clone(),
        };
        // Even values are Alice's.
        let owner = |value: usize| if value.is_multiple_of(2) { "alice" } else { "bob" };
        History::new(deeds.iter().map(deed).collect(), &owner).check()
    }

    #[test]
    fn what_can_have_happened_is_possible() {
        let alice = || SawOneOf("alice".into());
        for deeds in [
            vec![],
            vec![(0, 1, SawNothing), (2, 3, Wrote(2)), (4, 5, Saw(2)), (6, 7, Erased), (8, 9, SawNothing)],
            // While it is written, both the old and the new can be seen, in this order.
            vec![(0, 1, Wrote(1)), (2, 9, Wrote(2)), (3, 4, Saw(1)), (5, 6, Saw(2))],
            // Two at once end in either order.
            vec![(0, 9, Wrote(1)), (0, 9, Wrote(2)), (10, 11, Saw(1))],
            vec![(0, 9, Wrote(1)), (0, 9, Wrote(2)), (10, 11, Saw(2)), (12, 13, alice())],
            vec![(0, 9, Wrote(1)), (1, 8, Erased), (2, 3, Saw(1)), (4, 5, SawNothing)],
            vec![
                (0, 9, Wrote(2)),
                (0, 9, Wrote(4)),
                (0, 9, Wrote(3)),
                (2, 8, alice()),
                (3, 4, Saw(3)),
                (10, 11, Saw(2)),
            ],
        ] {
            assert_eq!(check(&deeds), Ok(()), "{deeds:?}");
        }
    }

    #[test]
    fn what_cannot_have_happened_is_found() {
        let bob = || SawOneOf("bob".into());
        for deeds in [
            // Lost, stale, back from the dead, never written, somebody else's.
            vec![(0, 1, Wrote(2)), (2, 3, SawNothing)],
            vec![(0, 1, Wrote(2)), (2, 3, Wrote(4)), (4, 5, Saw(2))],
            vec![(0, 1, Wrote(2)), (2, 3, Erased), (4, 5, Saw(2))],
            vec![(0, 1, Saw(2))],
            vec![(0, 1, Wrote(2)), (2, 3, bob())],
            // The new and then the old again.
            vec![(0, 1, Wrote(1)), (2, 9, Wrote(2)), (3, 4, Saw(2)), (5, 6, Saw(1))],
            // Two orders at once.
            vec![(0, 9, Wrote(1)), (0, 9, Wrote(2)), (10, 11, Saw(1)), (12, 13, Saw(2))],
            // Seen before it was begun to be written.
            vec![(0, 1, Saw(2)), (2, 3, Wrote(2))],
            // Gone for a moment, though nobody erased it.
            vec![(0, 1, Wrote(1)), (2, 9, Wrote(2)), (3, 4, SawNothing)],
        ] {
            assert!(check(&deeds).is_err(), "{deeds:?}");
        }
    }
}
