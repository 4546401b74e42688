//! The parser's error kinds in our own words. Its own messages are never shown: some repeat the text.

use serde_yaml::granit_parser::ErrorKind;

use super::{
    code::Code,
    diagnostic::{Diagnostic, Span},
};

/// Nesting beyond the limit.
pub(crate) fn too_deep(place: Span) -> Diagnostic {
    Diagnostic::at(
        Code::TooDeep,
        place,
        "lists or maps are nested too deeply here",
        "no part of a policy needs this; check for a missing bracket or a wrong file",
    )
}

/// A list, map or nothing where a field name should be.
pub(crate) fn key_not_text(place: Span) -> Diagnostic {
    Diagnostic::at(
        Code::KeyNotText,
        place,
        "a field name must be plain text",
        "write `name: value`; a line that starts with `:` or `?` has lost its name",
    )
}

/// More than one document.
pub(crate) fn second_document(place: Span) -> Diagnostic {
    Diagnostic::at(
        Code::SecondDocument,
        place,
        "a second YAML document starts here",
        "one file is one policy: move what follows into its own file, or use `for_each:` for many keys",
    )
}

/// A spent budget.
pub(crate) fn too_much(place: Span, nodes: usize, text: usize) -> Diagnostic {
    Diagnostic::at(
        Code::TooMuch,
        place,
        format!("the document grows beyond {nodes} values or {} kB of text here", text / 1024),
        "remove repeated aliases (`*…`); many keys belong into a CSV file named by `for_each:`",
    )
}

/// A syntax error at a place.
pub(crate) fn problem(kind: &ErrorKind, place: Span) -> Diagnostic {
    let (message, help) = match kind {
        ErrorKind::RecursionLimitExceeded => return too_deep(place),
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabAtBlockScalarStart
        | ErrorKind::TabInIndentation
        | ErrorKind::TabInPlainScalar => {
            return Diagnostic::at(
                Code::TabIndent,
                place,
                "a tab is used where YAML allows only spaces",
                "replace each tab by two spaces (most editors can do it for the whole file)",
            );
        }
        ErrorKind::DirectiveDisallowed
        | ErrorKind::DuplicateVersionDirective
        | ErrorKind::UnsupportedYamlMajorVersion
        | ErrorKind::DuplicateTagDirective
        | ErrorKind::UndeclaredTagHandle
        | ErrorKind::InvalidTagTerminator
        | ErrorKind::InvalidTagDirectiveTerminator
        | ErrorKind::ExpectedTagBang
        | ErrorKind::ExpectedTagDirectiveBang
        | ErrorKind::MissingTagUri
        | ErrorKind::UnclosedVerbatimTag
        | ErrorKind::InvalidDirectiveTerminator
        | ErrorKind::MissingDirectiveName
        | ErrorKind::InvalidDirectiveName
        | ErrorKind::MissingYamlVersion
        | ErrorKind::MissingYamlVersionSeparator => {
            return Diagnostic::at(
                Code::UnsupportedYaml,
                place,
                "tags (`!…`) and directives (`%…`) are not part of the policy language",
                "remove it; to keep text that starts with `!` or `%`, put it in quotes",
            );
        }
        ErrorKind::UnclosedQuotedScalar | ErrorKind::DocumentIndicatorInQuotedScalar => {
            ("a quote is opened here and never closed", "close the quote on the same line")
        }
        ErrorKind::UnclosedFlowCollection { .. }
        | ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofImplicitFlowMapping
        | ErrorKind::ExpectedFlowMappingSeparator
        | ErrorKind::ExpectedFlowSequenceSeparator
        | ErrorKind::MismatchedFlowCollectionEnd { .. }
        | ErrorKind::MisplacedFlowCollectionEnd => (
            "brackets do not match here, or a comma is missing",
            "every `{` needs its `}` and every `[` its `]`, with commas between the entries",
        ),
        ErrorKind::MappingValueNotAllowed
        | ErrorKind::InvalidColonPlacement
        | ErrorKind::InvalidMappingValueWhitespace
        | ErrorKind::FlowMappingValueAdjacentCollection => {
            ("a `:` stands where no field can begin", "put a value that contains `: ` in quotes, or check the indentation of this line")
        }
        ErrorKind::SimpleKeyExpected
        | ErrorKind::InvalidSimpleKey
        | ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::MappingKeyNotAllowed => {
            ("a field name with `:` is expected here", "write `name: value` with a space after the colon, indented like its neighbours")
        }
        ErrorKind::InvalidIndentation
        | ErrorKind::ExpectedBlockSequenceEntry
        | ErrorKind::BlockSequenceEntryNotAllowed
        | ErrorKind::BlockEntryInFlowCollection
        | ErrorKind::InvalidBlockEntryWhitespace => {
            ("the indentation does not fit the lines around it", "fields of one map start in the same column; list entries start with `- `")
        }
        ErrorKind::UnknownQuotedScalarEscape | ErrorKind::InvalidQuotedScalarHexEscape | ErrorKind::InvalidUnicodeEscape => (
            "a backslash inside double quotes starts an escape that YAML does not know",
            "use single quotes, in which a backslash is only a backslash",
        ),
        // The parser's list is long and grows; all the rest reads the same to a person.
        _ => ("the text is not valid YAML here", "check quotes, brackets and indentation of this line and the one before it"),
    };
    Diagnostic::at(Code::Syntax, place, message, help)
}
