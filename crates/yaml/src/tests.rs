use super::*;

/// The tree as one line: `(line:column text)`.
fn show(node: &Node) -> String {
    let body = match &node.value {
        Value::Null => "null".to_owned(),
        Value::Scalar(text) => format!("{text:?}"),
        Value::Sequence(items) => {
            format!(
                "[{}]",
                items.iter().map(show).collect::<Vec<_>>().join(", ")
            )
        }
        Value::Mapping(entries) => {
            let entry = |(key, node): &(Key, Node)| {
                format!(
                    "{}@{}:{} {}",
                    key.name,
                    key.at.line,
                    key.at.column,
                    show(node)
                )
            };
            format!(
                "{{{}}}",
                entries.iter().map(entry).collect::<Vec<_>>().join(", ")
            )
        }
    };
    format!("{}:{} {body}", node.at.line, node.at.column)
}

fn shown(text: &str) -> String {
    let (node, problems) = parse(text, Limits::FILE);
    assert!(problems.is_empty(), "{problems:?}");
    show(&node.unwrap())
}

/// The problems as `code line:column`.
fn problems(text: &str) -> Vec<String> {
    parse(text, Limits::FILE)
        .1
        .iter()
        .map(|p| format!("{} {}:{}", p.code, p.at.line, p.at.column))
        .collect()
}

#[test]
fn every_node_and_key_has_its_position() {
    assert_eq!(
        shown("a: [1, \"x\"]\nb:\n- c: ~\n"),
        "1:1 {a@1:1 1:4 [1:5 \"1\", 1:8 \"x\"], b@2:1 3:3 [3:3 {c@3:3 3:6 null}]}"
    );
}

#[test]
fn columns_count_characters() {
    assert_eq!(
        shown("{\"ü\": é, b: 1}"),
        "1:1 {ü@1:2 1:7 \"é\", b@1:10 1:13 \"1\"}"
    );
}

#[test]
fn a_quoted_null_is_text() {
    assert_eq!(
        shown("[null, 'null', '']"),
        "1:1 [1:2 null, 1:8 \"null\", 1:16 \"\"]"
    );
}

#[test]
fn json_and_windows_line_ends_are_accepted() {
    assert_eq!(
        shown("{\"a\":\r\n {\"b\": 1}}"),
        "1:1 {a@1:2 2:2 {b@2:3 2:8 \"1\"}}"
    );
}

#[test]
fn an_alias_keeps_the_position_of_its_original() {
    assert_eq!(
        shown("a: &x [1]\nb: *x\n"),
        "1:1 {a@1:1 1:7 [1:8 \"1\"], b@2:1 1:7 [1:8 \"1\"]}"
    );
}

#[test]
fn every_duplicate_is_reported_and_the_first_kept() {
    assert_eq!(
        problems("a: 1\nb: {c: 1, c: 2}\na: 2\n"),
        ["duplicate-field 2:11", "duplicate-field 3:1"]
    );
    let (node, _) = parse("a: 1\na: 2\n", Limits::FILE);
    assert_eq!(show(&node.unwrap()), "1:1 {a@1:1 1:4 \"1\"}");
}

#[test]
fn what_is_not_yaml_is_refused_where_it_breaks() {
    for (text, expected) in [
        ("a: [1\nb: 2\n", "yaml-syntax 2:2"),
        ("a: *x\n", "yaml-syntax 1:4"),
        ("a: &x [*x]\n", "yaml-syntax 1:8"),
        ("a: 1\n---\nb: 2\n", "several-documents 2:1"),
        ("? [a]\n: 1\n", "yaml-syntax 1:3"),
        ("a: \"\\q\"\n", "yaml-syntax 1:4"),
    ] {
        assert_eq!(problems(text), [expected], "{text:?}");
    }
}

/// Every hint belongs to a message of the parser; this fails when a new parser words its messages differently.
#[test]
fn common_mistakes_have_hints() {
    for (text, hint_part) in [
        ("a: b\n  c: d\n", "align the two"),
        ("a:\n  b: 1\n c: 2\n", "matches no line above"),
        ("- a\nb: 1\n", "cannot stand at one level"),
        ("a:\n\tb: 1\n", "spaces"),
        ("a: \"x\nb: 1\n", "close the quote"),
        ("a: @x\n", "in quotes"),
        ("a: *x\n", "define the anchor"),
        ("a: {{ .Values.x }}\n", "helm template"),
        ("a: 1\na: 2\n", "keep one"),
    ] {
        let (_, problems) = parse(text, Limits::FILE);
        let hint = problems[0].diagnostic("a.yaml").hint.unwrap_or_default();
        assert!(
            hint.contains(hint_part),
            "{text:?}: {:?}: {hint:?}",
            problems[0]
        );
    }
}

#[test]
fn an_empty_text_has_no_document() {
    for text in ["", "\n", "# nothing\n"] {
        let (node, problems) = parse(text, Limits::FILE);
        assert!(
            node.is_none_or(|n| matches!(n.value, Value::Null)),
            "{text:?}"
        );
        assert!(problems.is_empty());
    }
}

#[test]
fn exponential_aliases_are_refused() {
    let mut text = String::from("a0: &a0 [x, x]\n");
    for i in 1..40 {
        text += &format!("a{i}: &a{i} [*a{}, *a{}]\n", i - 1, i - 1);
    }
    assert_eq!(problems(&text), ["too-large 14:11"]);
}

#[test]
fn deep_nesting_is_refused() {
    let found = problems(&"[".repeat(100_000));
    assert_eq!(found.len(), 1, "{found:?}");
    let block: String = (0..2000)
        .map(|i| format!("{}- \n", " ".repeat(i)))
        .collect();
    assert_eq!(problems(&block).len(), 1);
}

/// The only document, read as Kubernetes reads it.
fn kubernetes(text: &str) -> String {
    let (documents, problems) = parse_all(text, Limits::OBJECTS);
    assert!(problems.is_empty(), "{problems:?}");
    show(&documents[0])
}

#[test]
fn merge_keys_add_fields_and_keep_their_places() {
    assert_eq!(
        kubernetes("x: &x {a: 1, b: 2}\nz:\n  <<: *x\n  b: 3\n"),
        "1:1 {x@1:1 1:7 {a@1:8 1:11 \"1\", b@1:14 1:17 \"2\"}, z@2:1 3:3 {a@1:8 1:11 \"1\", b@4:3 4:6 \"3\"}}"
    );
    // As in go-yaml, the later one counts, and the first of a list.
    assert_eq!(
        kubernetes("{a: 1, <<: [{a: 2}, {a: 3, b: 4}]}"),
        "1:1 {a@1:14 1:17 \"2\", b@1:28 1:31 \"4\"}"
    );
    let (_, problems) = parse_all("<<: 1\n", Limits::OBJECTS);
    assert_eq!(
        problems[0].message,
        "\"<<\" takes a mapping or a list of mappings"
    );
    assert_eq!(shown("<<: 1\n"), "1:1 {<<@1:1 1:5 \"1\"}");
}

#[test]
fn tags_decide_what_a_scalar_is() {
    let text = "[!!str 443, !!int '443', !!binary aGk=, !!bool on, ! 1, !mine 2, !!null '']";
    let (documents, problems) = parse_all(text, Limits::OBJECTS);
    assert!(problems.is_empty(), "{problems:?}");
    let Value::Sequence(items) = &documents[0].value else {
        panic!("{documents:?}")
    };
    let meanings: Vec<_> = items.iter().filter_map(Node::meaning).collect();
    assert_eq!(
        meanings,
        [
            Meaning::Text("443"),
            Meaning::Integer(443),
            Meaning::Text("hi"),
            Meaning::Boolean(true),
            Meaning::Text("1"),
            Meaning::Text("2"),
            Meaning::Null,
        ]
    );
    for wrong in ["!!int x", "!!bool 1", "!!binary '?'"] {
        let (_, problems) = parse_all(wrong, Limits::OBJECTS);
        assert_eq!(problems.len(), 1, "{wrong}");
    }
}

#[test]
fn names_of_fields_are_those_of_kubernetes() {
    assert_eq!(
        kubernetes("{on: a, 0x10: b, 'on': c}"),
        "1:1 {true@1:2 1:6 \"a\", 16@1:9 1:15 \"b\", on@1:18 1:24 \"c\"}"
    );
    let (_, problems) = parse_all("{yes: a, on: b}", Limits::OBJECTS);
    assert_eq!(problems[0].code, "duplicate-field");
}
