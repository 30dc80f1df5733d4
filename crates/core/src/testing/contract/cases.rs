//! The list of cases, and the ways to run them.

use super::subject::Subject;
use super::*;

/// One attack on one promise.
#[derive(Clone, Copy)]
pub struct Case {
    /// What must hold, as a sentence in snake case.
    pub name: &'static str,
    /// Runs it on an empty subject; panics if the promise is broken.
    pub run: fn(&dyn Subject),
}

/// Runs every case, each on a subject of its own.
pub fn run<S: Subject>(make: impl Fn() -> S) {
    for case in CASES {
        (case.run)(&make());
    }
}

/// Makes [`CASES`] and `contract_tests!` from one list, so that neither can forget a case.
macro_rules! cases {
    ($dollar:tt $($module:ident: $($name:ident),+;)+) => {
        /// Every case, in the order of the promises.
        pub const CASES: &[Case] = &[
            $($(Case { name: stringify!($name), run: $module::$name },)+)+
        ];

        /// One `#[test]` per case of the contract suite, on what the expression makes.
        #[macro_export]
        macro_rules! contract_tests {
            ($dollar make:expr) => {
                $($(
                    #[test]
                    fn $name() {
                        $crate::testing::contract::run_named(stringify!($name), &$dollar make());
                    }
                )+)+
            };
        }
    };
}

cases! { $
    contiguous:
        entries_are_numbered_from_one_without_holes,
        refused_sends_burn_no_number;
}

/// Runs the case called `name`; what `contract_tests!` calls.
///
/// # Panics
/// If there is none, or the subject breaks the promise.
pub fn run_named(name: &str, subject: &dyn Subject) {
    let case = CASES.iter().find(|case| case.name == name).expect("a case of this name");
    (case.run)(subject);
}
