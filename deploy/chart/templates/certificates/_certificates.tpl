{{/* The Secret with one of etcd's three certificates, whoever made it: part is server, admin or remote. */}}
{{- define "tombolo.etcdSecret" -}}
{{- $tls := .root.Values.clustermeshApiserver.tls -}}
{{- if eq $tls.method "secrets" }}{{ index $tls.secrets .part }}{{ else }}tombolo-etcd-{{ .part }}{{ end }}
{{- end }}

{{/* How other clusters find our etcd, as JSON: address, ips and port. Empty where nobody knows yet. */}}
{{- define "tombolo.advertised" -}}
{{- $api := .Values.clustermeshApiserver }}
{{- $address := $api.advertise.address }}
{{- $ips := $api.advertise.ips }}
{{- $port := $api.service.port }}
{{- $service := lookup "v1" "Service" .Release.Namespace "tombolo-clustermesh-apiserver" | default dict }}
{{- if eq $api.service.type "NodePort" }}
{{- $port = $api.service.nodePort }}
{{- range dig "spec" "ports" list $service }}
{{- $port = $port | default .nodePort }}
{{- end }}
{{- end }}
{{- if not (or $address $ips) }}
{{- if eq $api.service.type "NodePort" }}
{{- range (lookup "v1" "Node" "" "").items }}
{{- range dig "status" "addresses" list . }}
{{- if and (eq .type "InternalIP") (lt (len $ips) 8) }}
{{- $ips = append $ips .address }}
{{- end }}
{{- end }}
{{- end }}
{{- else if eq $api.service.type "LoadBalancer" }}
{{- range dig "status" "loadBalancer" "ingress" list $service }}
{{- if .ip }}
{{- $ips = append $ips .ip }}
{{- else if .hostname }}
{{- $address = .hostname }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- dict "address" $address "ips" $ips "port" (int ($api.advertise.port | default $port)) | toJson }}
{{- end }}

{{/* The names that our etcd proves. */}}
{{- define "tombolo.serverNames" -}}
{{- $tls := .Values.clustermeshApiserver.tls }}
{{- $service := printf "tombolo-clustermesh-apiserver.%s.svc" .Release.Namespace }}
{{- $advertised := include "tombolo.advertised" . | fromJson }}
{{- $names := concat (list "localhost" (printf "*.%s" .Values.clustermesh.domain) $service) $tls.extraNames (list $advertised.address) }}
{{- dict "names" ($names | compact | uniq) "ips" (concat (list "127.0.0.1" "::1") $tls.extraIps | uniq) | toJson }}
{{- end }}

{{/*
A certificate as JSON: the one in the Secret `name` while it is what would be made now and not near its end, else a new
one. What it was made from stands in an annotation, since templates cannot look into certificates.
*/}}
{{- define "tombolo.certificate" -}}
{{- $days := int .root.Values.clustermeshApiserver.tls.certificateDays }}
{{- $inputs := dict "cn" .commonName "names" .names "ips" .ips "days" $days "ca" .ca.Cert | toJson | sha256sum }}
{{- $now := now | unixEpoch | int64 }}
{{- $existing := lookup "v1" "Secret" .root.Release.Namespace .name | default dict }}
{{- $notes := dig "metadata" "annotations" dict $existing | default dict }}
{{- $renewAfter := get $notes "tombolo/renew-after" | default "0" }}
{{- if and (eq (get $notes "tombolo/inputs") $inputs) (lt $now (int64 $renewAfter)) }}
{{- dict "crt" (index $existing.data "tls.crt") "key" (index $existing.data "tls.key") "inputs" $inputs "renewAfter" $renewAfter | toJson }}
{{- else }}
{{- $made := genSignedCertWithKey .commonName .ips .names $days .ca (genPrivateKey "ecdsa") }}
{{- $renewAfter = add $now (div (mul $days 86400 2) 3) | toString }}
{{- dict "crt" (b64enc $made.Cert) "key" (b64enc $made.Key) "inputs" $inputs "renewAfter" $renewAfter | toJson }}
{{- end }}
{{- end }}

{{/* The file by which an agent follows a cluster. Paths are relative to it, so that it can be put anywhere. */}}
{{- define "tombolo.clusterFile" -}}
{{- $host := .address | default (printf "%s.%s" .name .domain) -}}
endpoints:
- https://{{ $host }}:{{ int .port }}
trusted-ca-file: {{ .name }}.etcd-client-ca.crt
cert-file: {{ .name }}.etcd-client.crt
key-file: {{ .name }}.etcd-client.key
{{- if not .address }}
cilium-host-aliases:
- hostname: {{ $host }}
  ips: {{ toJson .ips }}
{{- end }}
{{ end }}
