"""The configuration and the command of each contestant of the side-by-side run.

All have the same work: layer 4 ports to the echo, source and sink servers, and layer 7 ports that route by
Host and add X-Forwarded-For, -Proto and -Port. All have one worker and no access log, except `elbow-log`. `ports` maps a service
to the listening port, `servers` a service to the address of its server.
"""

import json
import shutil

HOST = "bench.localhost"
IDLE = 3600

# Layer 4 services, and layer 7 services: name, TLS to the client?, server, TLS to the server? The server of `grpc`
# speaks HTTP/2, that of the others HTTP/1.1.
TCP = ("echo", "source", "sink")
WEB = (("http", False, "http", False), ("https", True, "http", False), ("https-https", True, "https", True),
       ("grpc", True, "grpc", False))


def services():
    return list(TCP) + [name for name, *_ in WEB] + ["udp"]


def elbow(folder, ports, servers, binary, log):
    def group(name, protocol, server, check):
        host, port = servers[server].rsplit(":", 1)
        return {
            "name": name,
            "protocol": protocol,
            **({"protocolVersion": "GRPC"} if name == "grpc" else {}),
            "port": int(port),
            "targetType": "ip",
            "healthCheckConfig": {"port": "traffic-port", "intervalSeconds": 30, "timeoutSeconds": 5,
                                  "healthyThresholdCount": 2, "unhealthyThresholdCount": 2} | check,
            "targets": [{"id": host, "port": int(port)}],
        }

    def forward(name):
        return [{"type": "forward", "forwardConfig": {"targetGroups": [{"targetGroup": name, "weight": 1}]}}]

    def listener(name, tls):
        return {
            "port": ports[name],
            "protocol": "HTTPS" if tls else "HTTP",
            **({"sslPolicy": "ELBSecurityPolicy-TLS13-1-2-2021-06", "certificates": ["bench"]} if tls else {}),
            "rules": [{
                "priority": 1,
                "conditions": [{"field": "host-header", "hostHeaderConfig": {"values": [HOST]}}],
                "actions": forward(name),
            }],
            "defaultActions": [{"type": "fixed-response", "fixedResponseConfig": {
                "statusCode": "404", "contentType": "text/plain", "messageBody": "no such host"}}],
        }

    model = {
        "loadBalancers": [
            {"name": "bench-nlb", "type": "network", "scheme": "internet-facing", "ipAddressType": "ipv4",
             "addresses": ["127.0.0.1"],
             "listeners": [{"port": ports[n], "protocol": "TCP", "defaultActions": forward(n)} for n in TCP]
             + [{"port": ports["udp"], "protocol": "UDP", "defaultActions": forward("udp")}]},
            {"name": "bench-alb", "type": "application", "scheme": "internet-facing", "ipAddressType": "ipv4",
             "addresses": ["127.0.0.1"],
             "listeners": [listener(name, tls) for name, tls, _, _ in WEB]},
        ],
        "targetGroups":
            [group(n, "TCP", n, {"protocol": "TCP"}) for n in TCP]
            + [group("udp", "UDP", "udp", {"protocol": "TCP", "port": servers["echo"].rsplit(":", 1)[1]})]
            + [group(name, "HTTPS" if tls else "HTTP", server,
                     {"protocol": "HTTPS" if tls else "HTTP", "path": "/",
                      "matcher": {"grpcCode": "0"} if name == "grpc" else {"httpCode": "200"}})
               for name, _, server, tls in WEB],
        "certificates": [{"name": "bench", "certificateFile": f"{folder}/cert.pem",
                          "privateKeyFile": f"{folder}/key.pem"}],
    }
    path = folder / f"{binary.name}-{ports['http']}.yaml"
    path.write_text(json.dumps(model, indent=1))  # JSON is YAML
    to = str(folder / f"{binary.name}-{ports['http']}-access.log") if log else "off"
    return [str(binary), "run", "--config", str(path), "--workers", "1", "--admin", "off", "--access-log", to]


def haproxy(folder, ports, servers, splice):
    lines = [
        "global", " nbthread 1", " maxconn 9200", " maxpipes 256", " ssl-server-verify none",
        " tune.h2.max-concurrent-streams 128",
        " tune.ssl.default-dh-param 2048",
        "defaults", " mode tcp", " http-reuse always", " timeout connect 10s",
        f" timeout client {IDLE}s", f" timeout server {IDLE}s", f" timeout http-keep-alive {IDLE}s",
    ]
    if splice:
        lines += [" option splice-request", " option splice-response"]
    for name in TCP:
        lines += [f"listen {name}", f" bind 127.0.0.1:{ports[name]}", f" server s {servers[name]}"]
    for name, tls, server, server_tls in WEB:
        crt = f" ssl crt {folder}/both.pem alpn h2,http/1.1" if tls else ""
        lines += [
            f"frontend {name}", " mode http", f" bind 127.0.0.1:{ports[name]}{crt}", " option forwardfor",
            f" http-request set-header X-Forwarded-Proto {'https' if tls else 'http'}",
            " http-request set-header X-Forwarded-Port %[dst_port]",
            f" use_backend to-{name} if {{ hdr(host) -i {HOST} }}",
            f"backend to-{name}", " mode http",
            f" server s {servers[server]}{' ssl verify none' if server_tls else ''}{' proto h2' if name == 'grpc' else ''}",
        ]
    path = folder / f"haproxy-{ports['http']}.cfg"
    path.write_text("\n".join(lines) + "\n")
    return ["haproxy", "-db", "-q", "-f", str(path)]


def nginx(folder, ports, servers, buffer):
    home = folder / f"nginx-{ports['http']}"
    home.mkdir()
    module = next((p for p in ("/usr/lib/nginx/modules/ngx_stream_module.so",
                               "/usr/share/nginx/modules/ngx_stream_module.so") if shutil.os.path.exists(p)), None)
    stream = "\n".join(
        f"server {{ listen 127.0.0.1:{ports[n]} reuseport; proxy_pass {servers[n]}; }}" for n in TCP)
    stream += (f"\nserver {{ listen 127.0.0.1:{ports['udp']} udp reuseport rcvbuf=4m sndbuf=4m;"
               f" proxy_pass {servers['udp']}; proxy_timeout 120s; }}")
    web = []
    for name, tls, server, server_tls in WEB:
        crt = f"ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;" if tls else ""
        listen = f"127.0.0.1:{ports[name]} {'ssl http2' if tls else ''}"
        scheme = "https" if server_tls else "http"
        web.append(f"""
  upstream to-{name} {{ server {servers[server]}; keepalive 256; keepalive_requests 1000000000; keepalive_timeout {IDLE}s; }}
  server {{ listen {listen} reuseport default_server; server_name _; {crt} return 404; }}
  server {{
    listen {listen}; server_name {HOST}; {crt}
    location / {{ {f'grpc_pass grpc://to-{name};' if name == 'grpc' else f'proxy_pass {scheme}://to-{name};'} }}
    location /large {{ proxy_pass {scheme}://to-{name}; proxy_buffering off; proxy_request_buffering off; }}
  }}""")
    path = home / "nginx.conf"
    path.write_text(f"""
{f'load_module {module};' if module else ''}
daemon off; worker_processes 1; pid {home}/pid; error_log {home}/error.log error;
worker_rlimit_nofile 20000;
events {{ worker_connections 19500; use epoll; multi_accept on; }}
stream {{ proxy_buffer_size {buffer}; proxy_timeout {IDLE}s; tcp_nodelay on; {stream} }}
http {{
  access_log off; tcp_nodelay on; keepalive_timeout {IDLE}s; keepalive_requests 1000000000;
  client_max_body_size 0; client_body_buffer_size {buffer}; client_body_temp_path {home}/body;
  proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/f; uwsgi_temp_path {home}/u; scgi_temp_path {home}/s;
  http2_max_concurrent_streams 128;
  proxy_buffer_size {buffer}; proxy_buffers 8 {buffer}; proxy_busy_buffers_size {'128k' if buffer == '64k' else '32k'};
  proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme;
  proxy_set_header X-Forwarded-Port $server_port;
  grpc_set_header Host $http_host; grpc_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  grpc_set_header X-Forwarded-Proto $scheme; grpc_set_header X-Forwarded-Port $server_port; grpc_read_timeout {IDLE}s;
  ssl_protocols TLSv1.2 TLSv1.3;
  proxy_ssl_protocols TLSv1.2 TLSv1.3; proxy_ssl_verify off; proxy_read_timeout {IDLE}s;
  {''.join(web)}
}}
""")
    return ["nginx", "-p", str(home), "-c", str(path), "-e", str(home / "error.log")]


def envoy(folder, ports, servers):
    def address(text):
        host, port = text.rsplit(":", 1)
        return {"socket_address": {"address": host, "port_value": int(port)}}

    def typed(name, **fields):
        return {"@type": f"type.googleapis.com/envoy.extensions.{name}", **fields}

    def cluster(name, server, tls):
        limit = {"max_connections": 20000, "max_pending_requests": 20000, "max_requests": 20000}
        made = {
            "name": name, "type": "STATIC", "circuit_breakers": {"thresholds": [limit]},
            "load_assignment": {"cluster_name": name, "endpoints": [
                {"lb_endpoints": [{"endpoint": {"address": address(servers[server])}}]}]},
        }
        if name == "grpc":
            made["typed_extension_protocol_options"] = {
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": typed(
                    "upstreams.http.v3.HttpProtocolOptions", explicit_http_config={"http2_protocol_options": {}})}
        if tls:
            made["transport_socket"] = {"name": "tls", "typed_config": typed(
                "transport_sockets.tls.v3.UpstreamTlsContext")}
        return made

    def listen(name, filter_name, config, tls=False):
        chain = {"filters": [{"name": filter_name, "typed_config": config}]}
        if tls:
            pair = {"certificate_chain": {"filename": f"{folder}/cert.pem"},
                    "private_key": {"filename": f"{folder}/key.pem"}}
            chain["transport_socket"] = {"name": "tls", "typed_config": typed(
                "transport_sockets.tls.v3.DownstreamTlsContext", common_tls_context={"tls_certificates": [pair]})}
        return {"name": name, "address": address(f"127.0.0.1:{ports[name]}"), "filter_chains": [chain]}

    def http(name, tls):
        headers = [{"header": {"key": "X-Forwarded-Port", "value": str(ports[name])}}]
        return typed(
            "filters.network.http_connection_manager.v3.HttpConnectionManager",
            stat_prefix=name, use_remote_address=True, generate_request_id=False,
            http_filters=[{"name": "router", "typed_config": typed("filters.http.router.v3.Router")}],
            route_config={"virtual_hosts": [{
                "name": name, "domains": [HOST, f"{HOST}:*"], "request_headers_to_add": headers,
                "routes": [{"match": {"prefix": "/"}, "route": {"cluster": name, "timeout": "0s"}}]}]})

    # SO_RCVBUF and SO_SNDBUF of 4 MiB.
    buffers = [{"level": 1, "name": name, "int_value": 4 << 20, "state": "STATE_PREBIND"} for name in (8, 7)]
    udp = {
        "name": "udp", "socket_options": buffers,
        "address": {"socket_address": {"protocol": "UDP", "address": "127.0.0.1", "port_value": ports["udp"]}},
        "udp_listener_config": {"downstream_socket_config": {"prefer_gro": True}},
        "listener_filters": [{"name": "udp", "typed_config": typed(
            "filters.udp.udp_proxy.v3.UdpProxyConfig", stat_prefix="udp", idle_timeout="120s",
            upstream_socket_config={"prefer_gro": True},
            matcher={"on_no_match": {"action": {"name": "route", "typed_config": typed(
                "filters.udp.udp_proxy.v3.Route", cluster="udp")}}})}],
    }
    config = {"static_resources": {
        "listeners": [udp] + [
            listen(n, "tcp", typed("filters.network.tcp_proxy.v3.TcpProxy", stat_prefix=n, cluster=n)) for n in TCP
        ] + [listen(name, "http", http(name, tls), tls) for name, tls, _, _ in WEB],
        "clusters": [cluster(n, n, False) for n in (*TCP, "udp")] + [cluster(n, s, t) for n, _, s, t in WEB],
    }}
    path = folder / f"envoy-{ports['http']}.json"
    path.write_text(json.dumps(config))
    return ["envoy", "--concurrency", "1", "-c", str(path), "-l", "critical", "--disable-hot-restart"]
