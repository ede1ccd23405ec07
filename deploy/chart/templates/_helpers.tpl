{{- define "hookstream.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 55 characters: a Service's name has 63, and the longest suffix is "-metrics". */}}
{{- define "hookstream.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 55 | trimSuffix "-" -}}
{{- else if contains (include "hookstream.name" .) .Release.Name -}}
{{- .Release.Name | trunc 55 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "hookstream.name" .) | trunc 55 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The labels that choose the pods of a component: (list . "daemon"). */}}
{{- define "hookstream.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "hookstream.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
{{- with index . 1 }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{/* The labels of an object, of a component or of all: (list . "panel"), (list . ""). */}}
{{- define "hookstream.labels" -}}
{{- $root := index . 0 -}}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "hookstream.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{- end -}}

{{/* The labels of a component's pods: (list . "daemon" podLabels). They change with no upgrade of
the chart alone, and the selector's win over podLabels. */}}
{{- define "hookstream.podLabels" -}}
{{- mergeOverwrite (deepCopy (index . 2)) (include "hookstream.selector" . | fromYaml) | toYaml -}}
{{- end -}}

{{- define "hookstream.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "hookstream.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "hookstream.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "hookstream.settingsName" -}}
{{- default (printf "%s-settings" (include "hookstream.fullname" .)) .Values.existingSettings -}}
{{- end -}}

{{- define "hookstream.hooksName" -}}
{{- default (printf "%s-hooks" (include "hookstream.fullname" .)) .Values.existingHooks -}}
{{- end -}}

{{/* The settings with the folder of the definitions, unless hooks.path is set. */}}
{{- define "hookstream.settings" -}}
{{- mergeOverwrite (dict "hooks" (dict "path" "/etc/hookstream/hooks")) (deepCopy .Values.settings) | toYaml -}}
{{- end -}}

{{/* A duration of the settings (500ms, 25s, 1m, 6h) in whole seconds, rounded up. */}}
{{- define "hookstream.seconds" -}}
{{- if not (regexMatch "^[0-9]{1,12}(ms|s|m|h)$" (toString .)) -}}
{{- fail (printf "settings.delivery.shutdown_grace is %q: write a whole number and its unit, such as 25s" (toString .)) -}}
{{- end -}}
{{- $number := regexFind "^[0-9]+" . -}}
{{- $milliseconds := get (dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000) (trimPrefix $number .) -}}
{{- div (add (mul (int64 $number) $milliseconds) 999) 1000 -}}
{{- end -}}

{{/* Seconds to stop: the daemon's own, and ten to begin and to exit. */}}
{{- define "hookstream.grace" -}}
{{- add 10 (dig "delivery" "shutdown_grace" "25s" .Values.settings | include "hookstream.seconds") -}}
{{- end -}}

{{- define "hookstream.podSecurity" -}}
runAsNonRoot: true
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "hookstream.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Where settings, definitions and secrets are in a container. */}}
{{- define "hookstream.mounts" -}}
- {name: settings, mountPath: /etc/hookstream/settings, readOnly: true}
- {name: hooks, mountPath: /etc/hookstream/hooks, readOnly: true}
{{- range .Values.secrets.files }}
- {name: secret-{{ .name }}, mountPath: /run/secrets/{{ .name }}, readOnly: true}
{{- end }}
{{- end -}}

{{/* The kubelet's files belong to root, and without an fsGroup, which OpenShift would refuse, a pod
of any uid reads them as others do: so they keep the default mode. */}}
{{- define "hookstream.volumes" -}}
- name: settings
  configMap: {name: {{ include "hookstream.settingsName" . }}}
- name: hooks
  configMap: {name: {{ include "hookstream.hooksName" . }}}
{{- range .Values.secrets.files }}
- name: secret-{{ .name }}
  secret: {secretName: {{ .existingSecret }}}
{{- end }}
{{- end -}}

{{- define "hookstream.envFrom" -}}
{{- with .Values.secrets.existingSecret }}
envFrom:
  - secretRef: {name: {{ . }}}
{{- end }}
{{- end -}}

{{/* Pods are made anew when these change. */}}
{{- define "hookstream.checksums" -}}
checksum/settings: {{ include "hookstream.settings" . | sha256sum }}
checksum/hooks: {{ .Values.hooks | toYaml | sha256sum }}
{{- end -}}

{{/* With `reload: signal` pods are made anew for what no reload applies: the settings that hold for
the daemon's life (consumer/reload.py), and the script. */}}
{{- define "hookstream.signalChecksums" -}}
{{- $settings := .Values.settings -}}
{{- $failures := dig "delivery_log" "failures" true $settings -}}
{{- $successes := dig "delivery_log" "successes" 0.01 $settings -}}
{{- $fixed := dict
  "kafka" (dig "kafka" "" $settings)
  "sources" (dig "sources" "" $settings)
  "delays" (dig "retry" "delays" "" $settings)
  "transport" (dig "delivery" "transport" "" $settings)
  "log" (or $failures (gt (float64 $successes) 0.0))
  "live" (dig "hooks" "live" "" $settings)
  "traces" (dig "tracing" "endpoint" "" $settings)
  "registry" (dig "schema_registry" "url" "" $settings) -}}
checksum/fixed-settings: {{ $fixed | toJson | sha256sum }}
checksum/reload: {{ .Files.Get "files/reload.py" | sha256sum }}
{{- end -}}

{{/* Where the pods of a component run, and as whom: (list . "daemon"). */}}
{{- define "hookstream.pod" -}}
{{- $selector := include "hookstream.selector" . | fromYaml -}}
{{- $root := index . 0 -}}
serviceAccountName: {{ include "hookstream.serviceAccount" $root }}
automountServiceAccountToken: false
enableServiceLinks: false # their variables would begin with HOOKSTREAM_, as the settings' do
securityContext: {{- include "hookstream.podSecurity" $root | nindent 2 }}
{{- with $root.Values }}
{{- with .imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .topologySpreadConstraints }}
topologySpreadConstraints:
{{- range . }}
  - {{ toYaml (mergeOverwrite (dict "labelSelector" (dict "matchLabels" $selector)) .) | nindent 4 | trim }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The brokers' ports, each once: networkPolicy.brokerPorts, or those of the settings. */}}
{{- define "hookstream.brokerPorts" -}}
{{- $ports := .Values.networkPolicy.brokerPorts -}}
{{- if not $ports -}}
{{- $servers := dig "kafka" "bootstrap_servers" "localhost:9092" .Values.settings -}}
{{- if kindIs "slice" $servers -}}{{- $servers = join "," $servers -}}{{- end -}}
{{- range splitList "," $servers -}}
{{- $ports = append $ports (regexFind ":[0-9]+$" (trim .) | trimPrefix ":" | default "9092" | int) -}}
{{- end -}}
{{- end -}}
{{- uniq $ports | toJson -}}
{{- end -}}
