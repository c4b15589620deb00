// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// EventType is the CamelCase name of a kind of event, such as RiskDetected. The vocabulary is open; docs/event-types.md
// lists the names that the presets of NotificationCondition know.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Z][A-Za-z0-9]*$')",message="must be a CamelCase name such as RiskDetected"
type EventType string

// SecurityEventSpec is what was seen. The fields follow OCSF 1.8 Detection Finding (class_uid 2004); each names its
// counterpart there.
//
// +kubebuilder:validation:XValidation:rule="!has(self.lastTime) || has(self.time) && self.lastTime >= self.time",message="`lastTime` needs `time` and may not lie before it",fieldPath=".lastTime"
type SecurityEventSpec struct {
	// type is what kind of event this is, such as RiskDetected or TrafficLogged. OCSF: metadata.event_code.
	// +required
	Type EventType `json:"type"`
	// severity is Info, Warning, FunctionalFailure or Critical. OCSF: severity, severity_id.
	// +required
	Severity Severity `json:"severity"`
	// title is the event in a few words (%EVENT%). OCSF: finding_info.title.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Title string `json:"title"`
	// description tells the details (%DESCR%). OCSF: message, finding_info.desc.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Description string `json:"description,omitempty"`
	// time is when it happened, or first happened (%RISE_TIME%). Unset: when the object was created. A time ahead of
	// the API server's clock counts as the creation time. OCSF: start_time.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('9999-01-01T00:00:00Z')",message="must be a time of RFC 3339 such as 2026-11-22T08:30:00Z, from 1970 on"
	Time *metav1.Time `json:"time,omitempty"`
	// lastTime is when it last happened, for several occurrences. OCSF: end_time.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('9999-01-01T00:00:00Z')",message="must be a time of RFC 3339 such as 2026-11-22T08:30:00Z, from 1970 on"
	LastTime *metav1.Time `json:"lastTime,omitempty"`
	// count is how many occurrences this event stands for. Unset: 1. OCSF: count.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	Count *int32 `json:"count,omitempty"`
	// computer is where it happened. OCSF: device.
	// +optional
	Computer *Computer `json:"computer,omitempty"`
	// server is the management server or sensor that reported it. OCSF: metadata.reporter.name.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Server string `json:"server,omitempty"`
	// product is the security product that saw it. OCSF: metadata.product.
	// +optional
	Product *Product `json:"product,omitempty"`
	// task is the scan or other task that found it (%KLCSAK_EVENT_TASK_DISPLAY_NAME%). OCSF: malware_scan_info.name.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Task string `json:"task,omitempty"`
	// user is the account concerned. OCSF: actor.user.name.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	User string `json:"user,omitempty"`
	// risk is the malware or other risk that was found. OCSF: malware.
	// +optional
	Risk *Risk `json:"risk,omitempty"`
	// application is the program concerned. OCSF: evidences.process.
	// +optional
	Application *Application `json:"application,omitempty"`
	// network is the attack, packet or connection concerned. OCSF: evidences.connection_info, firewall_rule.
	// +optional
	Network *Network `json:"network,omitempty"`
	// involvedObject is the Kubernetes object concerned. OCSF: resources.
	// +optional
	InvolvedObject *InvolvedObject `json:"involvedObject,omitempty"`
	// attributes are further facts by name. OCSF: unmapped.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:validation:XValidation:rule="self.all(k, k.size() <= 63)",message="names may not be longer than 63 characters"
	Attributes map[string]AttributeValue `json:"attributes,omitempty"`
}

// AttributeValue is the value of one further fact.
//
// +kubebuilder:validation:MaxLength=1024
type AttributeValue string

// Computer is a node, a pod's host or a workstation.
type Computer struct {
	// name by which the computer is told from others (%COMPUTER%). OCSF: device.hostname.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// ip is the computer's own address (%HOST_IP%). OCSF: device.ip.
	// +optional
	// +kubebuilder:validation:MaxLength=45
	IP string `json:"ip,omitempty"`
	// connectionIP is the address from which it reports (%HOST_CONN_IP%). OCSF: metadata.reporter.ip.
	// +optional
	// +kubebuilder:validation:MaxLength=45
	ConnectionIP string `json:"connectionIP,omitempty"`
	// domain it belongs to (%DOMAIN%). OCSF: device.domain.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Domain string `json:"domain,omitempty"`
	// group of computers, such as Workstations/Berlin. OCSF: device.groups.name.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Group string `json:"group,omitempty"`
}

// Product is a security product.
type Product struct {
	// vendor of the product. OCSF: metadata.product.vendor_name.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Vendor string `json:"vendor,omitempty"`
	// name of the product (%KL_PRODUCT%). OCSF: metadata.product.name.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Name string `json:"name,omitempty"`
	// version of the product (%KL_VERSION%). OCSF: metadata.product.version.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Version string `json:"version,omitempty"`
}

// Risk is malware or another risk that was found.
type Risk struct {
	// name of the risk (%RISK%). OCSF: malware.name.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Name string `json:"name"`
	// category of the risk. OCSF: malware.classifications.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Category string `json:"category,omitempty"`
	// action taken against it (%ACTION%), such as Quarantined. OCSF: disposition.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Action string `json:"action,omitempty"`
}

// Application is a program.
type Application struct {
	// name of the program. OCSF: process.name.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Name string `json:"name,omitempty"`
	// path of its file. OCSF: process.file.path.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Path string `json:"path,omitempty"`
	// sha256 of its file, in hexadecimal. OCSF: process.file.hashes.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^([0-9A-Fa-f]{64})?$`
	SHA256 string `json:"sha256,omitempty"`
}

// NetworkActivity says which of a firewall's or intrusion prevention's logs an event comes from.
//
// +kubebuilder:validation:Enum=NetworkThreatProtection;Packet;Traffic
type NetworkActivity string

const (
	// ActivityNetworkThreatProtection is an attack seen by a firewall or by intrusion prevention signatures.
	ActivityNetworkThreatProtection NetworkActivity = "NetworkThreatProtection"
	// ActivityPacket comes from the packet log.
	ActivityPacket NetworkActivity = "Packet"
	// ActivityTraffic comes from the traffic log.
	ActivityTraffic NetworkActivity = "Traffic"
)

// Network is an attack, a packet or a connection.
type Network struct {
	// activity is NetworkThreatProtection, Packet or Traffic. OCSF: class_uid 2004 or 4001.
	// +required
	Activity NetworkActivity `json:"activity"`
	// direction, such as Inbound or Outbound. OCSF: connection_info.direction.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Direction string `json:"direction,omitempty"`
	// protocol, such as TCP. OCSF: connection_info.protocol_name.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Protocol string `json:"protocol,omitempty"`
	// action taken, such as Blocked. OCSF: disposition.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Action string `json:"action,omitempty"`
	// local end. OCSF: dst_endpoint when inbound, else src_endpoint.
	// +optional
	Local *Endpoint `json:"local,omitempty"`
	// remote end. OCSF: src_endpoint when inbound, else dst_endpoint.
	// +optional
	Remote *Endpoint `json:"remote,omitempty"`
	// signature that recognised an attack. OCSF: finding_info.analytic.uid.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Signature string `json:"signature,omitempty"`
	// rule of the firewall that applied. OCSF: firewall_rule.
	// +optional
	Rule *FirewallRule `json:"rule,omitempty"`
}

// Endpoint is one end of a connection.
type Endpoint struct {
	// ip address. OCSF: ip.
	// +optional
	// +kubebuilder:validation:MaxLength=45
	IP string `json:"ip,omitempty"`
	// port number. OCSF: port.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=65535
	Port *int32 `json:"port,omitempty"`
	// host name. OCSF: hostname.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Host string `json:"host,omitempty"`
}

// FirewallRule is a rule of a firewall.
type FirewallRule struct {
	// name of the rule. OCSF: firewall_rule.name.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Name string `json:"name"`
	// sendEmailAlert says that the rule asks for an alert ("Send Email Alert" in its Logging column).
	// +optional
	SendEmailAlert bool `json:"sendEmailAlert,omitempty"`
}

// InvolvedObject is a Kubernetes object that an event is about.
type InvolvedObject struct {
	// apiVersion of the object, such as v1 or apps/v1. OCSF: resources.group.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	APIVersion string `json:"apiVersion,omitempty"`
	// kind of the object, such as Pod. OCSF: resources.type.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Kind string `json:"kind"`
	// namespace of the object; empty for cluster-wide ones. OCSF: resources.namespace.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`
	// name of the object. OCSF: resources.name.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// uid of the object. OCSF: resources.uid.
	// +optional
	UID types.UID `json:"uid,omitempty"`
}

// SecurityEvent is something that a security product saw on one computer, once or several times. It never changes after
// it was created, and nothing is written back to it.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Namespaced,shortName=secev,categories=tocsin
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.spec.type`
// +kubebuilder:printcolumn:name="Severity",type=string,JSONPath=`.spec.severity`
// +kubebuilder:printcolumn:name="Computer",type=string,JSONPath=`.spec.computer.name`
// +kubebuilder:printcolumn:name="Risk",type=string,JSONPath=`.spec.risk.name`
// +kubebuilder:printcolumn:name="Count",type=integer,JSONPath=`.spec.count`,priority=1
// +kubebuilder:printcolumn:name="Title",type=string,JSONPath=`.spec.title`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:selectablefield:JSONPath=`.spec.type`
// +kubebuilder:selectablefield:JSONPath=`.spec.severity`
// +kubebuilder:selectablefield:JSONPath=`.spec.computer.name`
// +kubebuilder:selectablefield:JSONPath=`.spec.risk.name`
type SecurityEvent struct {
	metav1.TypeMeta `json:",inline"`
	// metadata of the object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what was seen. It never changes.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="may not be changed: an event is a fact; create another one instead"
	Spec SecurityEventSpec `json:"spec"`
}

// SecurityEventList is a list of SecurityEvents.
//
// +kubebuilder:object:root=true
type SecurityEventList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []SecurityEvent `json:"items"`
}
