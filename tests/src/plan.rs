//! The output of `elbow plan -o stack`, in terms of the specification of manifests.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::command::{output, texts};
use crate::{eks, elbow};

/// The plan of a folder.
pub struct Plan {
    /// Resources by the id of their stack.
    pub stacks: BTreeMap<String, Value>,
    /// The whole output.
    pub printed: Value,
    /// The diagnostics on stderr.
    pub stderr: String,
}

/// The plan of a folder.
pub fn plan_of(folder: &Path) -> Plan {
    let folder = folder.to_str().unwrap();
    let output = output(&mut elbow::command(&["plan", "-o", "stack", "-f", folder]));
    let (stdout, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(0), "{folder}:\n{stderr}");
    let printed: Value = serde_json::from_str(&stdout).unwrap();
    let stack = |stack: &Value| (text(&stack["id"]), stack["resources"].clone());
    Plan {
        stacks: printed.as_array().unwrap().iter().map(stack).collect(),
        printed,
        stderr,
    }
}

/// The plan of a folder of `config/eks`.
pub fn plan(row: &str) -> Plan {
    plan_of(&eks::folder(row))
}

/// A string value.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// The Classic load balancer of the Service `id`.
pub fn classic(plan: &Plan, id: &str) -> Value {
    plan.stacks[id]["AWS::ElasticLoadBalancing::LoadBalancer"]["LoadBalancer"]["spec"].clone()
}

/// One line per listener: `443 TCP -> 30525 TCP`.
pub fn listeners(classic: &Value) -> Vec<String> {
    let listener = |one: &Value| {
        format!(
            "{} {} -> {} {}",
            one["loadBalancerPort"],
            text(&one["protocol"]),
            one["instancePort"],
            text(&one["instanceProtocol"])
        )
    };
    classic["listeners"]
        .as_array()
        .unwrap()
        .iter()
        .map(listener)
        .collect()
}

/// Target, interval, timeout, healthy and unhealthy threshold.
pub fn check(classic: &Value) -> Value {
    let check = &classic["healthCheck"];
    json!([
        check["target"],
        check["interval"],
        check["timeout"],
        check["healthyThreshold"],
        check["unhealthyThreshold"]
    ])
}

/// The default health check of section 1, S1.
pub fn default_check(target: &str) -> Value {
    json!([target, 10, 5, 2, 6])
}

/// The specs of the resources of a type, by id.
pub fn resources<'a>(plan: &'a Plan, id: &str, kind: &str) -> Vec<(&'a String, &'a Value)> {
    let all = plan.stacks[id][kind].as_object().unwrap();
    all.iter().map(|(id, one)| (id, &one["spec"])).collect()
}

/// The load balancer of the stack `id`.
pub fn balancer(plan: &Plan, id: &str) -> Value {
    let kind = "AWS::ElasticLoadBalancingV2::LoadBalancer";
    plan.stacks[id][kind]["LoadBalancer"]["spec"].clone()
}

/// The target group that an action forwards to: `ns/name:port`.
pub fn forwards_to(action: &Value) -> String {
    let arn = text(&action["forwardConfig"]["targetGroups"][0]["targetGroupARN"]["$ref"]);
    let id = arn.strip_prefix("#/resources/AWS::ElasticLoadBalancingV2::TargetGroup/");
    id.unwrap()
        .strip_suffix("/status/targetGroupARN")
        .unwrap()
        .to_owned()
}

/// One line per listener, sorted by port: `443 TCP -> instance TCP 30525`.
pub fn network(plan: &Plan, id: &str) -> Vec<String> {
    let groups = &plan.stacks[id]["AWS::ElasticLoadBalancingV2::TargetGroup"];
    let mut listeners: Vec<(u64, String)> = Vec::new();
    for (_, listener) in resources(plan, id, "AWS::ElasticLoadBalancingV2::Listener") {
        let group = &groups[forwards_to(&listener["defaultActions"][0])]["spec"];
        let port = listener["port"].as_u64().unwrap();
        let line = format!(
            "{port} {} -> {} {} {}",
            text(&listener["protocol"]),
            text(&group["targetType"]),
            text(&group["protocol"]),
            group["port"]
        );
        listeners.push((port, line));
    }
    listeners.sort();
    listeners.into_iter().map(|(_, line)| line).collect()
}

/// The health checks of all target groups: protocol, port, path, codes, interval, timeout, thresholds.
pub fn checks(plan: &Plan, id: &str) -> Vec<Value> {
    let groups = resources(plan, id, "AWS::ElasticLoadBalancingV2::TargetGroup");
    let check = |(_, group): (&String, &Value)| {
        let check = &group["healthCheckConfig"];
        json!([
            check["protocol"],
            check["port"],
            check["path"],
            check["matcher"]["httpCode"],
            check["intervalSeconds"],
            check["timeoutSeconds"],
            check["healthyThresholdCount"],
            check["unhealthyThresholdCount"]
        ])
    };
    groups.into_iter().map(check).collect()
}

/// The default TCP check of section 3.3, first row.
pub fn tcp_check() -> Value {
    json!(["TCP", "traffic-port", null, null, 10, 10, 3, 3])
}

/// The subnets of a load balancer.
pub fn subnets(balancer: &Value) -> Vec<String> {
    let mappings = balancer["subnetMapping"].as_array().unwrap();
    mappings.iter().map(|one| text(&one["subnetID"])).collect()
}

/// The node port that the Service would get.
pub fn node_port(classic: &Value) -> u64 {
    let port = classic["listeners"][0]["instancePort"].as_u64().unwrap();
    assert!((30_000..32_768).contains(&port), "{port}");
    port
}
