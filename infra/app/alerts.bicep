// Most alerts are on a state, not on an event: an alert stays open while the state lasts. Each has its entry in the runbook
// of docs/deploy.md. In each run the sweep logs how many orders are unfinished, parked or waiting, and how old the oldest is.
param location string
param tags object
param insightsId string
param workspaceId string
param storageId string
param actionGroupId string

// What the sweep logs. Application Insights leaves out lines when there are very many, but never a request, so the queries
// look at an hour of lines.
var orders = '''
traces
| where message startswith "orders report: "
| parse message with * "unfinished " unfinished:long ", parked " parked:long ", awaiting approval " waiting:long ", oldest without a person " oldest:long " s"
'''
var sweeps = '''
traces
| where message startswith "sweep report: "
| parse message with * "payments without order " payments:long ", not mended " unmended:long ", parts failed " failed:long
'''

var alerts = [
  {
    name: 'orders-parked'
    severity: 1
    description: 'An order needs an operator: an undo could not be confirmed.'
    scope: insightsId
    query: '${orders}| summarize arg_max(timestamp, parked) | project value = parked'
    operator: 'GreaterThan'
    threshold: 0
    every: 'PT5M'
    window: 'PT1H'
    closesItself: true
  }
  {
    name: 'oldest-order-too-old'
    severity: 1
    description: 'An order that waits for no person has not ended for longer than all retries take together.'
    scope: insightsId
    query: '${orders}| summarize arg_max(timestamp, oldest) | project value = oldest'
    operator: 'GreaterThan'
    threshold: 3600
    every: 'PT5M'
    window: 'PT1H'
    closesItself: true
  }
  {
    name: 'sweep-silent'
    severity: 1
    description: 'The sweep has not run. While it is silent, the alerts about orders and payments are blind.'
    scope: insightsId
    query: 'requests | where name == "sweep_orders" and tobool(success) | summarize value = count()'
    operator: 'LessThan'
    threshold: 1
    every: 'PT5M'
    window: 'PT15M'
    closesItself: true
  }
  {
    name: 'sweep-not-well'
    severity: 2
    description: 'Each run of the last half hour left an order unmended, or could not look at everything.'
    scope: insightsId
    query: '${sweeps}| summarize value = min(unmended + failed)'
    operator: 'GreaterThan'
    threshold: 0
    every: 'PT15M'
    window: 'PT30M'
    closesItself: true
  }
  {
    name: 'payment-without-order'
    severity: 1
    description: 'Stripe has captured a payment that names an order without a record. A person has to close this alert.'
    scope: insightsId
    query: '${sweeps}| summarize value = max(payments)'
    operator: 'GreaterThan'
    threshold: 0
    every: 'PT15M'
    window: 'PT1H'
    // The sweep looks at the payments of the last two hours: after that nobody sees the payment any more.
    closesItself: false
  }
  {
    name: 'webhooks-refused'
    severity: 2
    description: 'Webhooks are refused with 400: the signing secret is not the one of the endpoint in Stripe.'
    scope: insightsId
    query: 'requests | where name == "stripe_webhook" and resultCode == "400" | summarize value = count()'
    operator: 'GreaterThan'
    threshold: 4
    every: 'PT15M'
    window: 'PT15M'
    closesItself: true
  }
  {
    name: 'answers-of-5xx'
    severity: 2
    description: 'Requests are answered with 5xx: settings are wrong, storage does not answer, or the code has a fault.'
    scope: insightsId
    query: 'requests | where resultCode startswith "5" | summarize value = count()'
    operator: 'GreaterThan'
    threshold: 4
    every: 'PT5M'
    window: 'PT15M'
    closesItself: true
  }
  {
    name: 'daily-quota-reached'
    severity: 2
    description: 'The workspace takes no more data today: the other alerts are blind until tomorrow.'
    scope: workspaceId
    query: '_LogOperation | where Category =~ "Ingestion" and Detail contains "OverQuota" | summarize value = count()'
    operator: 'GreaterThan'
    threshold: 0
    every: 'PT15M'
    window: 'PT1H'
    closesItself: true
  }
]

resource rules 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [for each in alerts: {
  name: each.name
  location: location
  tags: tags
  properties: {
    displayName: each.name
    description: '${each.description} The runbook in docs/deploy.md says what to do.'
    severity: each.severity
    enabled: true
    scopes: [
      each.scope
    ]
    evaluationFrequency: each.every
    windowSize: each.window
    criteria: {
      allOf: [
        {
          query: each.query
          timeAggregation: 'Maximum'
          metricMeasureColumn: 'value'
          operator: each.operator
          threshold: each.threshold
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    autoMitigate: each.closesItself
    muteActionsDuration: each.closesItself ? null : 'PT6H'
    actions: {
      actionGroups: [
        actionGroupId
      ]
    }
  }
}]

resource throttling 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: 'storage-throttles'
  location: 'global'
  tags: tags
  properties: {
    description: 'Storage refuses requests because there are too many. The runbook in docs/deploy.md says what to do.'
    severity: 2
    enabled: true
    scopes: [
      storageId
    ]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          name: 'refused'
          criterionType: 'StaticThresholdCriterion'
          metricNamespace: 'Microsoft.Storage/storageAccounts'
          metricName: 'Transactions'
          dimensions: [
            {
              name: 'ResponseType'
              operator: 'Include'
              values: [
                'ServerBusyError'
                'ClientThrottlingError'
                'ClientAccountRequestThrottlingError'
                'ClientAccountBandwidthThrottlingError'
              ]
            }
          ]
          operator: 'GreaterThan'
          threshold: 10
          timeAggregation: 'Total'
        }
      ]
    }
    autoMitigate: true
    actions: [
      {
        actionGroupId: actionGroupId
      }
    ]
  }
}
