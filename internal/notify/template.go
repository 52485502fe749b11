package notify

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/routesteer/routesteer/api"
	"github.com/routesteer/routesteer/topology"
)

// render is a message as the template has it, in JSON.
func render(template topology.Template, message Message) []byte {
	var value any
	switch template {
	case topology.TemplateSlack:
		value = slackOf(message)
	case topology.TemplateAlertmanager:
		value = alertsOf(message)
	case topology.TemplateJSON:
		value = message
	default:
		panic("notify: no such template: " + string(template))
	}
	body, err := json.Marshal(value)
	if err != nil {
		panic("notify: cannot write a message as JSON: " + err.Error())
	}
	return body
}

// A slackMessage is what incoming webhooks of Slack and Mattermost take:
// https://api.slack.com/messaging/webhooks, https://api.slack.com/reference/messaging/attachments.
type slackMessage struct {
	Text        string            `json:"text"`
	Attachments []slackAttachment `json:"attachments"`
}

type slackAttachment struct {
	Color    string `json:"color"`
	Fallback string `json:"fallback"`
	Text     string `json:"text"`
}

func slackOf(m Message) slackMessage {
	title, text := slackText(m.Title), slackText(m.Text)
	return slackMessage{Text: title, Attachments: []slackAttachment{{Color: slackColor(m), Fallback: title, Text: text}}}
}

// slackText escapes what Slack's markup would take for commands: a server's words must
// not mention @channel.
func slackText(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}

func slackColor(m Message) string {
	switch {
	case m.Status == Resolved:
		return "good"
	case m.Severity == api.CriticalSeverity:
		return "danger"
	case m.Severity == api.WarningSeverity:
		return "warning"
	default:
		return "#439fe0"
	}
}

// lasting is how long Alertmanager holds an alert that nobody ends: as the notifier tells
// of changes, and not again and again of what is, its own few minutes would end it too
// early.
const lasting = 24 * time.Hour

// An alert is one of those that Alertmanager's API v2 takes at /api/v2/alerts. Its labels are
// what the alert is: they are the same when it ends.
type alert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt"`
}

// alertsOf has an alert for each thing that events of the message are about: the last
// of them counts.
func alertsOf(m Message) []alert {
	alerts := []alert{}
	at := map[key]int{}
	for _, told := range m.Events {
		next := alertOf(m, told)
		k := keyOf(told.Event)
		if i, known := at[k]; known {
			alerts[i] = next
			continue
		}
		at[k] = len(alerts)
		alerts = append(alerts, next)
	}
	return alerts
}

func alertOf(m Message, told Told) alert {
	a := alert{Labels: map[string]string{"alertname": "Routesteer" + strings.ToUpper(told.Kind[:1]) + told.Kind[1:]}, Annotations: map[string]string{}}
	for name, value := range map[string]string{
		"severity": told.Was, "server": told.Server, "vip": told.VIP, "router": told.Router, "controller": m.Host,
	} {
		if value != "" {
			a.Labels[name] = value
		}
	}
	if cause := keyOf(told.Event).cause; cause != "" {
		a.Labels["cause"] = cause
	}
	line := &tallyLine{first: told}
	line.add(told)
	a.Annotations["summary"] = line.String()
	a.StartsAt, a.EndsAt = told.Time, told.Time.Add(lasting)
	if told.Resolved {
		a.EndsAt = told.Time
	}
	return a
}
