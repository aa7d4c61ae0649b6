/** YAML that the tests hand to kubectl. Each is a whole document, so that they can be joined. */
export const webService = (port: number): string => `---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{name: http, port: ${port}, targetPort: http}]
`;

export const webDeployment = (replicas: number, image: string): string => `---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: ${replicas}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: ${image}
        ports: [{name: http, containerPort: 8080}]
`;

export const pod = (name: string, app: string): string => `---
apiVersion: v1
kind: Pod
metadata: {name: ${name}, labels: {app: ${app}}}
spec:
  containers:
  - name: c
    image: c:1
    ports: [{name: http, containerPort: 8080}]
`;

export const node = (name: string, zone: string): string => `---
apiVersion: v1
kind: Node
metadata: {name: ${name}, labels: {topology.kubernetes.io/zone: ${zone}}}
status:
  conditions: [{type: Ready, status: "True", reason: KubeletReady}]
  addresses: [{type: InternalIP, address: 192.0.2.1}]
`;
