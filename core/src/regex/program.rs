//! From a tree to instructions, and running them.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::parse::{Look, Node, Set, Tree};
use super::{MAX_INSTRUCTIONS, RegexError};

/// The instructions of an expression. It begins at the first one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    instructions: Vec<Instruction>,
    sets: Vec<Set>,
}

/// The place of an instruction. There are at most [`MAX_INSTRUCTIONS`].
type Place = usize;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Instruction {
    /// Takes this character.
    Char(char),
    /// Takes a character of the set with this index.
    Set(usize),
    /// Goes on if the place in the text is of that kind.
    Look(Look),
    /// Goes on at both places.
    Split(Place, Place),
    /// Goes on there.
    Jump(Place),
    /// The expression matches if the text ends here.
    Match,
}

impl Program {
    pub(super) fn new(tree: &Tree) -> Result<Self, RegexError> {
        let mut program = Self {
            instructions: Vec::new(),
            sets: tree.sets.clone(),
        };
        program.emit(&tree.root)?;
        program.push(Instruction::Match)?;
        Ok(program)
    }

    // Recursion is bounded by the depth of the tree (`MAX_DEPTH`), and the number of its steps by
    // `MAX_INSTRUCTIONS`: what emits nothing is not repeated.
    fn emit(&mut self, node: &Node) -> Result<(), RegexError> {
        match node {
            Node::Char(char) => self.push(Instruction::Char(*char)).map(|_| ()),
            Node::Set(index) => self.push(Instruction::Set(*index)).map(|_| ()),
            Node::Look(look) => self.push(Instruction::Look(*look)).map(|_| ()),
            Node::Concat(nodes) => nodes.iter().try_for_each(|node| self.emit(node)),
            Node::Alternate(branches) => self.emit_alternate(branches),
            Node::Repeat { node, min, max } => self.emit_repeat(node, *min, *max),
        }
    }

    fn emit_alternate(&mut self, branches: &[Node]) -> Result<(), RegexError> {
        let mut jumps = Vec::new();
        let Some((last, others)) = branches.split_last() else {
            return Ok(());
        };
        for branch in others {
            let split = self.push(Instruction::Split(0, 0))?;
            self.emit(branch)?;
            jumps.push(self.push(Instruction::Jump(0))?);
            self.set(
                split,
                Instruction::Split(split.saturating_add(1), self.next()),
            );
        }
        self.emit(last)?;
        for jump in jumps {
            self.set(jump, Instruction::Jump(self.next()));
        }
        Ok(())
    }

    fn emit_repeat(&mut self, node: &Node, min: u32, max: Option<u32>) -> Result<(), RegexError> {
        for _ in 0..min {
            let before = self.next();
            self.emit(node)?;
            if self.next() == before {
                return Ok(());
            }
        }
        let Some(max) = max else {
            // split → node → jump back to the split, or on.
            let split = self.push(Instruction::Split(0, 0))?;
            self.emit(node)?;
            self.push(Instruction::Jump(split))?;
            self.set(
                split,
                Instruction::Split(split.saturating_add(1), self.next()),
            );
            return Ok(());
        };
        let mut splits = Vec::new();
        for _ in min..max {
            splits.push(self.push(Instruction::Split(0, 0))?);
            self.emit(node)?;
        }
        for split in splits {
            self.set(
                split,
                Instruction::Split(split.saturating_add(1), self.next()),
            );
        }
        Ok(())
    }

    fn push(&mut self, instruction: Instruction) -> Result<Place, RegexError> {
        if self.instructions.len() >= MAX_INSTRUCTIONS {
            return Err(RegexError::TooLarge);
        }
        let place = self.next();
        self.instructions.push(instruction);
        Ok(place)
    }

    fn set(&mut self, place: Place, instruction: Instruction) {
        if let Some(old) = self.instructions.get_mut(place) {
            *old = instruction;
        }
    }

    fn next(&self) -> Place {
        self.instructions.len()
    }

    /// Whether the whole text matches.
    pub(super) fn matches(&self, text: &str) -> bool {
        let mut rest = text.chars();
        let mut here = Places::new(self.instructions.len());
        let mut there = Places::new(self.instructions.len());
        let mut stack = Vec::new();
        self.follow(0, (None, rest.clone().next()), &mut here, &mut stack);
        while let Some(char) = rest.next() {
            let around = (Some(char), rest.clone().next());
            self.step(char, around, &here, &mut there, &mut stack);
            if there.list.is_empty() {
                return false;
            }
            core::mem::swap(&mut here, &mut there);
        }
        here.list
            .iter()
            .any(|place| self.instructions.get(*place) == Some(&Instruction::Match))
    }

    /// The characters that are taken one after the other before there is any choice.
    pub(super) fn literal_prefix(&self) -> String {
        self.instructions
            .iter()
            .map_while(|instruction| match instruction {
                Instruction::Char(char) => Some(*char),
                _ => None,
            })
            .collect()
    }

    /// Whether a text that begins with this character may match.
    pub(super) fn may_begin_with(&self, char: char) -> bool {
        let mut here = Places::new(self.instructions.len());
        let mut there = Places::new(self.instructions.len());
        let mut stack = Vec::new();
        self.follow(0, (None, Some(char)), &mut here, &mut stack);
        // What comes behind is not known: the places are found for a text that ends, and for one that goes on.
        self.step(char, (Some(char), None), &here, &mut there, &mut stack);
        let ends = !there.list.is_empty();
        self.step(char, (Some(char), Some('a')), &here, &mut there, &mut stack);
        let goes_on = !there.list.is_empty();
        self.step(char, (Some(char), Some('-')), &here, &mut there, &mut stack);
        ends || goes_on || !there.list.is_empty()
    }

    /// The places `there` that are reached by taking the character at one of the places `here`.
    fn step(
        &self,
        char: char,
        around: (Option<char>, Option<char>),
        here: &Places,
        there: &mut Places,
        stack: &mut Vec<Place>,
    ) {
        there.clear();
        for place in &here.list {
            let is_taken = match self.instructions.get(*place) {
                Some(Instruction::Char(wanted)) => *wanted == char,
                Some(Instruction::Set(index)) => {
                    self.sets.get(*index).is_some_and(|set| set.contains(char))
                }
                _ => false,
            };
            if is_taken {
                self.follow(place.saturating_add(1), around, there, stack);
            }
        }
    }

    /// Adds every place that is reached from `place` without taking a character. `around` are the
    /// characters before and behind the place in the text.
    fn follow(
        &self,
        place: Place,
        around: (Option<char>, Option<char>),
        places: &mut Places,
        stack: &mut Vec<Place>,
    ) {
        stack.push(place);
        while let Some(place) = stack.pop() {
            if !places.is_new(place) {
                continue;
            }
            match self.instructions.get(place) {
                Some(Instruction::Jump(target)) => stack.push(*target),
                Some(Instruction::Split(first, second)) => stack.extend([*second, *first]),
                Some(Instruction::Look(look)) if look.holds(around) => {
                    stack.push(place.saturating_add(1));
                }
                Some(Instruction::Look(_)) => {}
                Some(_) => places.list.push(place),
                None => {}
            }
        }
    }
}

/// A set of places, each with what it needs at most once.
struct Places {
    /// Those that take a character or match.
    list: Vec<Place>,
    /// By place, the round in which it was added last.
    rounds: Vec<u64>,
    round: u64,
}

impl Places {
    fn new(instructions: usize) -> Self {
        Self {
            list: Vec::new(),
            rounds: vec![0; instructions],
            round: 1,
        }
    }

    fn clear(&mut self) {
        self.list.clear();
        self.round = self.round.saturating_add(1);
    }

    /// Notes the place; `false` when it was noted in this round.
    fn is_new(&mut self, place: Place) -> bool {
        match self.rounds.get_mut(place) {
            Some(round) if *round != self.round => {
                *round = self.round;
                true
            }
            _ => false,
        }
    }
}
