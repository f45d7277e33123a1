//! Rules, folders and banners, as they are once read.

use signet_plugin_sdk::File;
use signet_plugin_sdk::select::Placement;
use signet_plugin_sdk::settings::Table;

use crate::condition::{Conditions, Test};
use crate::index::Index;

/// As many signatures as the interface lets one copy have.
pub(crate) const STACK: usize = 8;

/// Banners on one copy, when the settings do not say.
pub(crate) const BANNERS: usize = 1;

/// Copies of one message, when the settings do not say: enough for every mix of classes and a few groups, and a bound on the work that
/// one message can cause.
pub(crate) const COPIES: usize = 16;

/// Everything that was read.
#[derive(Debug)]
pub(crate) struct RuleSet {
    pub(crate) settings: Settings,
    /// Rules and folders in the order in which they are tried.
    pub(crate) steps: Vec<Step>,
    pub(crate) index: Index,
    /// In the order in which they are tried.
    pub(crate) banners: Vec<Banner>,
    pub(crate) banner_index: Index,
    /// Number of rules, folders and banners.
    pub(crate) explained: usize,
}

/// The `[settings]` table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) on_behalf: OnBehalf,
    pub(crate) banners: usize,
    pub(crate) copies: usize,
}

/// Whose rules a message follows that somebody sent on an author's behalf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnBehalf {
    Author,
    Delegate,
}

impl Default for Settings {
    fn default() -> Self {
        Self { on_behalf: OnBehalf::Author, banners: BANNERS, copies: COPIES }
    }
}

/// One step of the search.
#[derive(Debug)]
pub(crate) enum Step {
    /// The folder's conditions; where they do not hold, its rules are left out.
    Enter(Folder),
    /// A rule.
    Try(Rule),
    /// The end of a folder that ends the search: the name of the folder, and its step.
    Leave(String, usize),
}

/// What rules, folders and banners have in common: a name, and where they apply.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    pub(crate) name: String,
    pub(crate) conditions: Conditions,
    pub(crate) exceptions: Vec<Conditions>,
    /// Whether recipients of one class may differ.
    pub(crate) asks_beyond_class: bool,
    pub(crate) place: Place,
}

/// Where something was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: String,
    pub(crate) line: u32,
    /// The table, such as `folder[1].rule[2]`.
    pub(crate) path: String,
}

impl Place {
    pub(crate) fn of(file: &File, table: &Table<'_>) -> Self {
        Self { file: file.name.clone(), line: table.line(), path: table.path().to_owned() }
    }
}

/// One rule.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) scope: Scope,
    pub(crate) action: Action,
    /// Whether the search goes on where it applied.
    pub(crate) continues: bool,
    /// Trigger words to take out of the subject where it applied.
    pub(crate) removes: Vec<String>,
    /// The step of the folder that it is in.
    pub(crate) folder: Option<usize>,
}

/// What a rule does where it applies.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    Sign(Stack),
    Skip(String),
}

/// Signatures from top to bottom.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stack {
    pub(crate) ids: Vec<String>,
    pub(crate) placement: Placement,
}

/// Rules with conditions of their own before them.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    pub(crate) scope: Scope,
    /// The step after its last.
    pub(crate) end: usize,
}

/// A campaign: added below the signatures.
#[derive(Clone, Debug)]
pub(crate) struct Banner {
    pub(crate) scope: Scope,
    pub(crate) stack: Stack,
    pub(crate) priority: i64,
    pub(crate) only_with_signature: bool,
    /// Trigger words to take out of the subject where it was added.
    pub(crate) removes: Vec<String>,
}

impl Rule {
    /// Whether the search ends where it applied.
    pub(crate) fn ends(&self) -> bool {
        !self.continues || matches!(self.action, Action::Skip(_))
    }

    /// The ids it can choose.
    pub(crate) fn signatures(&self) -> &[String] {
        match &self.action {
            Action::Sign(stack) => &stack.ids,
            Action::Skip(_) => &[],
        }
    }
}

impl Scope {
    pub(crate) fn new(name: String, conditions: Conditions, exceptions: Vec<Conditions>, place: Place) -> Self {
        let mut scope = Self { name, conditions, exceptions, asks_beyond_class: false, place };
        scope.asks_beyond_class = scope.tests().iter().any(|test| matches!(test, Test::Recipient(who) if !who.is_class_only()));
        scope
    }

    /// Every test of its conditions and exceptions.
    pub(crate) fn tests(&self) -> Vec<&Test> {
        std::iter::once(&self.conditions).chain(&self.exceptions).flat_map(Conditions::tests).collect()
    }
}

impl Step {
    /// The scope that it asks; the end of a folder asks nothing.
    pub(crate) fn scope(&self) -> Option<&Scope> {
        match self {
            Self::Enter(folder) => Some(&folder.scope),
            Self::Try(rule) => Some(&rule.scope),
            Self::Leave(..) => None,
        }
    }

    /// The rule that it is.
    pub(crate) fn rule(&self) -> Option<&Rule> {
        if let Self::Try(rule) = self { Some(rule) } else { None }
    }
}

impl RuleSet {
    /// Every rule in order.
    pub(crate) fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.steps.iter().filter_map(Step::rule)
    }

    /// The scope of every rule, folder and banner.
    pub(crate) fn scopes(&self) -> impl Iterator<Item = &Scope> {
        self.steps.iter().filter_map(Step::scope).chain(self.banners.iter().map(|banner| &banner.scope))
    }
}
