// A mail when the resource group has cost most of its budget, and when the month is forecast to pass it. The start of a
// budget cannot be changed, so it is given, and not made from the day of the deployment.
param amount int
param startDate string
param alertEmail string

resource budget 'Microsoft.Consumption/budgets@2024-08-01' = {
  name: 'order-saga'
  properties: {
    category: 'Cost'
    amount: amount
    timeGrain: 'Monthly'
    timePeriod: {
      startDate: startDate
    }
    notifications: {
      mostOfIt: {
        enabled: true
        operator: 'GreaterThan'
        threshold: 80
        thresholdType: 'Actual'
        contactEmails: [
          alertEmail
        ]
      }
      allOfIt: {
        enabled: true
        operator: 'GreaterThan'
        threshold: 100
        thresholdType: 'Forecasted'
        contactEmails: [
          alertEmail
        ]
      }
    }
  }
}
