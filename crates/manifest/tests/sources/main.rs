//! What the sources of the controllers do with Services where no recording shows it. Each case names the function that it
//! follows: in `pkg/service` and `pkg/networking` of the AWS Load Balancer Controller v3.5.0, or in `pkg/providers/v1` of
//! cloud-provider-aws (63ec440).

#![allow(clippy::expect_used, reason = "a test may fail")]

mod controller;
mod provider;

use elbow_manifest::context::Reading;
use elbow_manifest::{Context, Translation, plan, read};
use serde_json::Value;

const SUBNETS: &str = "
subnets:
- {id: subnet-a1, availabilityZone: us-east-1a, cidrBlock: 10.0.0.0/24, ipv6CidrBlock: '2001:db8:0:a::/64', scheme: internal, name: a}
- {id: subnet-b1, availabilityZone: us-east-1b, cidrBlock: 10.0.1.0/24, ipv6CidrBlock: '2001:db8:0:b::/64', scheme: internal, name: b}
- {id: subnet-b0, availabilityZone: us-east-1b, cidrBlock: 10.0.2.0/24, scheme: internal, name: b}
- {id: subnet-p, availabilityZone: us-east-1a, cidrBlock: 10.0.3.0/24, scheme: internet-facing, name: p}
";

/// A Service with these annotations, whose keys have no prefix, and these fields of `spec`.
fn planned(annotations: &[(&str, &str)], spec: &str, environment: &str) -> Translation {
    let mut text =
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n  annotations:\n    a: b\n"
            .to_owned();
    for (key, value) in annotations {
        text.push_str(&format!(
            "    service.beta.kubernetes.io/{key}: {value:?}\n"
        ));
    }
    text.push_str(&format!("spec:\n  type: LoadBalancer\n{spec}\n"));
    let environment = format!("{environment}{SUBNETS}");
    let (mut context, found) = Context::parse(&environment, "environment.yaml");
    assert_eq!(found, [], "{environment}");
    // The controllers also take what an API server of today refuses.
    context.reading = Reading::Lenient;
    let (objects, found) = read(&text, "input.yaml");
    assert_eq!(found, [], "{text}");
    plan(&objects, &context)
}

/// The field of the Service's stack.
fn field(made: &Translation, pointer: &str) -> Value {
    let stack = made.stacks.iter().find(|stack| stack.id == "default/web");
    let stack = stack.unwrap_or_else(|| panic!("no stack: {:?}", made.diagnostics));
    let resources = &stack.to_json()["resources"];
    resources.pointer(pointer).cloned().unwrap_or_default()
}

/// The message of the only error.
fn refusal(made: &Translation) -> String {
    assert!(made.stacks.is_empty(), "{:?}", made.stacks);
    let errors = made.diagnostics.iter().filter(|found| found.is_error());
    let errors: Vec<&str> = errors.map(|found| found.message.as_str()).collect();
    let [error] = errors[..] else {
        panic!("{errors:?}");
    };
    error.to_owned()
}

const HTTP: &str = "  ports: [{name: http, port: 80, targetPort: 8080, nodePort: 30080}]";
const BALANCER: &str = "/AWS::ElasticLoadBalancingV2::LoadBalancer/LoadBalancer/spec";
const GROUP: &str = "/AWS::ElasticLoadBalancingV2::TargetGroup/default~1web:80/spec";
const LISTENER: &str = "/AWS::ElasticLoadBalancingV2::Listener/80/spec";

/// What a controller refuses: function, annotations, spec, environment, a part of the message.
type Refused<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str, &'a str, &'a str);

/// What a controller plans: function, annotations, spec, environment, a field and its value.
type Planned<'a> = (
    &'a str,
    &'a [(&'a str, &'a str)],
    &'a str,
    &'a str,
    String,
    Value,
);
