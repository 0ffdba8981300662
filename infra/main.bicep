// Everything that the order saga needs in Azure, in one resource group of its own. docs/deploy.md says what it is for.
targetScope = 'subscription'

@minLength(1)
@maxLength(64)
@description('The name of the azd environment. The names of all resources are made from it.')
param environmentName string

@minLength(1)
@description('The Azure region. It must offer Flex Consumption, and the Durable Task Scheduler if that is chosen.')
param location string

@description('The sender of confirmations: the setting MAIL_FROM.')
param mailFrom string

@description('Countries served, ISO 3166 alpha-2 with commas between them: the setting SHIPS_TO.')
param shipsTo string

@description('The mail address that gets the alerts and the messages of the budget.')
param alertEmail string

@secure()
@description('The secret key of Stripe: the setting STRIPE_API_KEY.')
param stripeApiKey string

@secure()
@description('The mail server with its login, smtps://user:password@host: the setting SMTP_URL.')
param smtpUrl string

@secure()
@description('The signing secret of the webhook endpoint in Stripe: the setting STRIPE_WEBHOOK_SECRET. Empty at first.')
param stripeWebhookSecret string = ''

@secure()
@description('What signs the tracking links of customers: the setting TRACKING_SECRET. Empty: no links.')
param trackingSecret string = ''

@secure()
@description('The connection string of a Notification Hub: the setting PUSH_CONNECTION. Empty: no push.')
param pushConnection string = ''

@secure()
@description('What signs the POSTs to ALERT_WEBHOOK_URL: the setting ALERT_WEBHOOK_SECRET. Empty: none.')
param alertWebhookSecret string = ''

@description('When the sweep runs: the setting SWEEP_SCHEDULE. At least once in five minutes, or an alert fires.')
param sweepSchedule string = '0 * * * * *'

@description('Further rows of docs/settings.md that are no secrets, by name, such as {"APPROVAL_THRESHOLD_MINOR": "50000"}.')
param furtherSettings object = {}

@allowed([
  'storage'
  'scheduler'
])
@description('Where Durable Functions keeps the orchestrations: the storage account, or a Durable Task Scheduler.')
param durableBackend string = 'storage'

@description('True: storage and vault are reached by private endpoints of a virtual network, and not from the internet.')
param privateNetwork bool = false

@description('True: plan and storage account are spread over the zones of the region. It needs a region with zones.')
param zoneRedundant bool = false

@minValue(0)
@description('Always-ready instances for HTTP requests, and as many for the orchestrations. 0: cold starts.')
param alwaysReadyInstances int = 1

@minValue(1)
@maxValue(1000)
@description('The largest number of instances.')
param maximumInstances int = 40

@description('True: the vault and its secrets cannot be purged before 90 days. It cannot be switched off again.')
param purgeProtection bool = true

@description('True: the storage account, with orders and labels in it, cannot be deleted while its lock is there.')
param deleteLock bool = true

@description('How many gigabytes the workspace takes a day. An alert fires when it takes no more. -1: no limit.')
param dailyQuotaGb int = 5

@minValue(1)
@description('What a month may cost, in the currency of the subscription, before mails are sent.')
param monthlyBudget int = 200

@description('The first day of the month in which the budget begins, such as 2027-01-01. Empty: no budget.')
param budgetStart string = ''

var tags = { 'azd-env-name': environmentName }
// Each name is the kind of the resource and this: the same in each deployment of one environment.
var token = toLower(uniqueString(subscription().id, environmentName, location))
// The same hub as in host.json; with the scheduler it is the value of TASKHUB_NAME.
var taskHubName = 'OrderSaga'

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

module monitoring 'app/monitoring.bicep' = {
  name: 'monitoring'
  scope: group
  params: {
    location: location
    tags: tags
    token: token
    alertEmail: alertEmail
    dailyQuotaGb: dailyQuotaGb
  }
}

module storage 'app/storage.bicep' = {
  name: 'storage'
  scope: group
  params: {
    location: location
    tags: tags
    name: 'st${token}'
    zoneRedundant: zoneRedundant
    fromTheInternet: !privateNetwork
    deleteLock: deleteLock
    workspaceId: monitoring.outputs.workspaceId
  }
}

module vault 'app/vault.bicep' = {
  name: 'vault'
  scope: group
  params: {
    location: location
    tags: tags
    name: 'kv-${token}'
    fromTheInternet: !privateNetwork
    purgeProtection: purgeProtection
    workspaceId: monitoring.outputs.workspaceId
    stripeApiKey: stripeApiKey
    smtpUrl: smtpUrl
    stripeWebhookSecret: stripeWebhookSecret
    trackingSecret: trackingSecret
    pushConnection: pushConnection
    alertWebhookSecret: alertWebhookSecret
  }
}

module network 'app/network.bicep' = if (privateNetwork) {
  name: 'network'
  scope: group
  params: {
    location: location
    tags: tags
    token: token
    storageId: storage.outputs.id
    vaultId: vault.outputs.id
  }
}

module identity 'app/identity.bicep' = {
  name: 'identity'
  scope: group
  params: {
    location: location
    tags: tags
    name: 'id-${token}'
    storageName: storage.outputs.name
    vaultName: vault.outputs.name
    insightsName: monitoring.outputs.insightsName
  }
}

module scheduler 'app/scheduler.bicep' = if (durableBackend == 'scheduler') {
  name: 'scheduler'
  scope: group
  params: {
    location: location
    tags: tags
    name: 'dts-${token}'
    taskHubName: taskHubName
    identityId: identity.outputs.id
    identityPrincipalId: identity.outputs.principalId
  }
}

module api 'app/api.bicep' = {
  name: 'api'
  scope: group
  params: {
    location: location
    tags: tags
    token: token
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    insightsConnectionString: monitoring.outputs.insightsConnectionString
    workspaceId: monitoring.outputs.workspaceId
    blobEndpoint: storage.outputs.blobEndpoint
    queueEndpoint: storage.outputs.queueEndpoint
    tableEndpoint: storage.outputs.tableEndpoint
    deploymentContainer: storage.outputs.deploymentContainer
    vaultUri: vault.outputs.uri
    mailFrom: mailFrom
    shipsTo: shipsTo
    sweepSchedule: sweepSchedule
    furtherSettings: furtherSettings
    webhooksAreSigned: !empty(stripeWebhookSecret)
    linksAreSigned: !empty(trackingSecret)
    pushIsSet: !empty(pushConnection)
    alertsAreSigned: !empty(alertWebhookSecret)
    schedulerEndpoint: durableBackend == 'scheduler' ? scheduler.outputs.endpoint : ''
    taskHubName: taskHubName
    subnetId: privateNetwork ? network.outputs.appSubnetId : ''
    zoneRedundant: zoneRedundant
    alwaysReadyInstances: alwaysReadyInstances
    maximumInstances: maximumInstances
  }
}

module alerts 'app/alerts.bicep' = {
  name: 'alerts'
  scope: group
  params: {
    location: location
    tags: tags
    insightsId: monitoring.outputs.insightsId
    workspaceId: monitoring.outputs.workspaceId
    storageId: storage.outputs.id
    actionGroupId: monitoring.outputs.actionGroupId
  }
}

module budget 'app/budget.bicep' = if (!empty(budgetStart)) {
  name: 'budget'
  scope: group
  params: {
    amount: monthlyBudget
    startDate: budgetStart
    alertEmail: alertEmail
  }
}

output AZURE_LOCATION string = location
output AZURE_RESOURCE_GROUP string = group.name
output SERVICE_API_NAME string = api.outputs.name
output STORAGE_ACCOUNT string = storage.outputs.name
output APP_URL string = api.outputs.url
output STRIPE_WEBHOOK_URL string = '${api.outputs.url}/api/webhooks/stripe'
