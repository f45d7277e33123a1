//! Tiny plugins that load in no time, made from the guests in `tests/guests`.

use super::guest;

/// What a selector made here decides, whoever the recipients are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Nobody gets a signature.
    Skip,
    /// Everybody gets the signature `full`, which is `<b>full</b>` and `full`.
    Sign,
    /// The first recipient gets the signature, the others none: two copies.
    SignFirst,
    /// A single recipient gets the signature; for two there is a trap.
    TrapForTwo,
    /// The same with an endless loop.
    LoopForTwo,
}

/// The facts' list of recipients has its length at this offset of the parameters (canonical ABI of `signet:mail/types.facts`).
const INDEXES: &str = "
(data (i32.const 1024) \"quick\")
(func $indexes (param $count i32) (result i32)
  (local $at i32) (local $index i32)
  (local.set $at (call $realloc (i32.const 0) (i32.const 0) (i32.const 4) (i32.mul (local.get $count) (i32.const 4))))
  (block $done (loop $next
    (br_if $done (i32.eq (local.get $index) (local.get $count)))
    (i32.store (i32.add (local.get $at) (i32.mul (local.get $index) (i32.const 4))) (local.get $index))
    (local.set $index (i32.add (local.get $index) (i32.const 1)))
    (br $next)))
  (local.get $at))
";

const SKIP: &str = "
(func $decide (param $in i32) (result i32)
  (i32.store (i32.const 224) (call $indexes (i32.load offset=44 (local.get $in))))
  (i32.store (i32.const 228) (i32.load offset=44 (local.get $in)))
  (global.get $skip))
";

const SIGN: &str = "
(func $decide (param $in i32) (result i32)
  (i32.store (i32.const 160) (call $indexes (i32.load offset=44 (local.get $in))))
  (i32.store (i32.const 164) (i32.load offset=44 (local.get $in)))
  (global.get $answer))
";

/// Two copies of 28 octets from 512 on: the one at 160, and the one at 224 with the indexes from 1 on.
const SIGN_FIRST: &str = "
(data (i32.const 600) \"\\00\\00\\00\\00\" \"\\00\\02\\00\\00\\02\\00\\00\\00\" \"\\00\\00\\00\\00\")
(func $decide (param $in i32) (result i32)
  (if (i32.eq (i32.load offset=44 (local.get $in)) (i32.const 1)) (then (return (global.get $answer))))
  (i32.store (i32.const 224) (i32.add (call $indexes (i32.load offset=44 (local.get $in))) (i32.const 4)))
  (i32.store (i32.const 228) (i32.sub (i32.load offset=44 (local.get $in)) (i32.const 1)))
  (memory.copy (i32.const 512) (i32.const 160) (i32.const 28))
  (memory.copy (i32.const 540) (i32.const 224) (i32.const 28))
  (i32.const 600))
";

const TRAP_FOR_TWO: &str = "
(func $decide (param $in i32) (result i32)
  (if (i32.eq (i32.load offset=44 (local.get $in)) (i32.const 2)) (then (unreachable)))
  (global.get $answer))
";

const LOOP_FOR_TWO: &str = "
(func $decide (param $in i32) (result i32)
  (if (i32.eq (i32.load offset=44 (local.get $in)) (i32.const 2)) (then (loop $again (br $again))))
  (global.get $answer))
";

/// A component that decides like this.
pub(crate) fn selector(choice: Choice) -> Vec<u8> {
    let decide = match choice {
        Choice::Skip => SKIP,
        Choice::Sign => SIGN,
        Choice::SignFirst => SIGN_FIRST,
        Choice::TrapForTwo => TRAP_FOR_TWO,
        Choice::LoopForTwo => LOOP_FOR_TWO,
    };
    let text = guest::text("selector", "selector");
    let replaced = "(func $decide (param $in i32) (result i32) (global.get $answer))";
    assert!(text.contains(replaced), "selector.wat decides elsewhere");
    guest::Build::default().component(&text.replace(replaced, &format!("{INDEXES}{decide}")))
}

/// The selector `name` of `tests/guests`.
pub(crate) fn hostile_selector(name: &str) -> Vec<u8> {
    guest::selector(name)
}

/// The renderer `name` of `tests/guests`; `renderer` is the well-behaved one.
pub(crate) fn renderer(name: &str) -> Vec<u8> {
    guest::renderer(name)
}
